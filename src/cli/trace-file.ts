/** `--trace FILE.json`: what every dispatch of a run took. */
import type { Program } from "../compile/program.ts";
import { Trace } from "../inspect/index.ts";
import { writeFileAtomically } from "../runtime/files/output.ts";
import type { StartOptions } from "../runtime/session/start.ts";
import { type PrintOptions, say } from "./output.ts";
import { checkFolderOf, checkReplaced } from "./replaced.ts";

/** A trace is replaced, any other file only with `overwrite`; its folder is looked for before the run. Throws `FILE-OUTPUT-EXISTS`, `FILE-NOT-FOUND`. */
export async function checkTrace(file: string, overwrite: boolean, reads: readonly string[]): Promise<void> {
  await checkReplaced(file, {
    overwrite,
    reads,
    ours: (text) => text.startsWith('{"traceEvents"'),
    message: "--trace names a file that is no trace",
    expected: "a new file, an empty one, or an earlier trace",
  });
  await checkFolderOf(file, "make the folder of the trace first");
}

/** Listens to what dispatches take, beside whoever listens already, and writes it when the run is over. */
export class TraceFile {
  private readonly trace: Trace;
  private runs = 0;

  constructor(
    program: Program,
    private readonly file: string,
  ) {
    this.trace = new Trace(program);
  }

  listen(also: StartOptions["onKernels"]): NonNullable<StartOptions["onKernels"]> {
    return (times) => {
      this.runs++;
      this.trace.add(times);
      also?.(times);
    };
  }

  /** What a run has told so far; a run that nothing measured has a trace without events, and is told of. */
  async write(options: PrintOptions): Promise<void> {
    await writeFileAtomically(this.file, this.trace.text());
    const { omitted } = this.trace;
    if (this.runs === 0)
      say(options, `${this.file}: no times, since nothing that measures ran the kernels (--device cpu does)`);
    else
      say(
        options,
        `${this.file}: open it in Perfetto${omitted > 0 ? `; ${omitted} later dispatches are left out` : ""}`,
      );
  }
}
