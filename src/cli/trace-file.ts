/** `--trace FILE.json`: what every dispatch of a run took. */
import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Program } from "../compile/program.ts";
import { Trace } from "../inspect/index.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import { readError, systemCode } from "../runtime/files/errors.ts";
import { writeFileAtomically } from "../runtime/files/output.ts";
import type { StartOptions } from "../runtime/session/start.ts";
import { type PrintOptions, say } from "./output.ts";

/** A trace is replaced, any other file only with `overwrite`. Throws `FILE-OUTPUT-EXISTS`. */
export async function checkTrace(file: string, overwrite: boolean): Promise<void> {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return "";
    throw readError(error, file);
  });
  await checkFolder(dirname(file));
  if (overwrite || text === "" || text.startsWith('{"traceEvents"')) return;
  throw new WebpeftError("FILE-OUTPUT-EXISTS", {
    message: "--trace names a file that is no trace",
    where: file,
    expected: "a new file, an empty one, or an earlier trace",
    help: "choose another file, or allow overwriting",
  });
}

/** The trace is written when the run is over: that it can be is found out before. */
async function checkFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory()) return;
  throw new WebpeftError("FILE-NOT-FOUND", {
    message: "--trace names a file in a folder that is not there",
    where: folder,
    help: "make the folder, or choose another file",
  });
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
