/** `webpeft inspect`: everything that the compiler makes of a config, as files, or a part of it on stdout. Needs no device. */
import type { Target } from "../codegen/index.ts";
import { inspectionFiles } from "../inspect/index.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import type { ProgramMode } from "../program/index.ts";
import { writeFolder } from "../runtime/files/output.ts";
import { forecastTarget } from "../runtime/session/memory.ts";
import { compileSources, defaultLength, readSources, type SourceOptions, type Sources } from "./common.ts";
import { packed } from "./failure-dump.ts";
import { runDiff } from "./inspect-diff.ts";
import { checkTextOptions, printText, type TextOptions, wantsText } from "./inspect-text.ts";
import { type InspectedOn, inspectedOn, observedOn } from "./measure.ts";
import { memoryLine } from "./memory.ts";
import { emit, say } from "./output.ts";
import { claimOutput } from "./output-lock.ts";
import { reproduced } from "./reproduce.ts";

export interface InspectOptions extends SourceOptions, TextOptions {
  readonly diff?: readonly string[];
  readonly reproduce?: string;
  readonly mode: ProgramMode;
  readonly batch: number;
  readonly length?: number;
  readonly target?: string;
  readonly memory?: number;
  readonly measure?: boolean;
  readonly precision?: boolean;
  readonly out?: string;
  readonly overwrite?: boolean;
}

type Sizes = Pick<InspectOptions, "mode" | "batch" | "memory"> & { readonly length: number; readonly target: Target };

const sizesOf = ({ mode, batch, length, memory }: InspectOptions, { model }: Sources, target: Target): Sizes => ({
  ...{ mode, batch, target },
  ...(memory === undefined ? {} : { memory }),
  length: length ?? defaultLength(model),
});

/** Compiles, measures where that is asked for, and tells what the program will take. */
async function filesOf(options: InspectOptions, on: InspectedOn): Promise<ReadonlyMap<string, string>> {
  const { reproduce } = options;
  if (reproduce !== undefined)
    return inspectionFiles(await reproduced({ ...options, reproduce }, on), { pack: packed });
  const sources = await readSources(options, true);
  const program = await compileSources(sources, options, sizesOf(options, sources, on.target));
  const observed = await observedOn(program, sources, options, on);
  const files = inspectionFiles(program, { ...observed, pack: packed });
  if (options.mode !== "merge") say(options, memoryLine(forecastTarget(program, sources.model)));
  return files;
}

/** After an error what was made before it is written. */
async function writeFiles(out: string, options: InspectOptions, on: InspectedOn): Promise<void> {
  const overwrite = options.overwrite ?? false;
  await claimOutput(out, { overwrite });
  const files = await filesOf(options, on).catch(async (error: unknown) => {
    const made = await options.failure.files(error, out);
    await writeFolder(out, made, { overwrite });
    say(options, `${out}: what was made before the error, ${made.size} files; error.txt has the error`);
    throw error;
  });
  await writeFolder(out, files, { overwrite });
  say(options, `${out}: ${files.size} files; open report.html`);
  emit(options, { type: "done", out, files: [...files.keys()] });
}

export async function run(raw: Record<string, unknown>): Promise<number | undefined> {
  const options = raw as unknown as InspectOptions;
  if (options.diff !== undefined) {
    await runDiff({ ...options, diff: options.diff });
    return 0;
  }
  checkTextOptions(options);
  const { reproduce, out } = options;
  if (options.model === undefined && reproduce === undefined)
    throw new WebpeftError("CLI-INSPECT", { message: "inspect wants a --model, or --diff with two folders" });
  if (!wantsText(options) && out === undefined && reproduce === undefined)
    throw new WebpeftError("CLI-INSPECT", {
      message: "inspect has nothing to do",
      help: "name a folder for its files with --out, or what it prints with --print or --kernels",
    });
  const on = await inspectedOn(options);
  try {
    if (reproduce !== undefined && out === undefined) {
      await reproduced({ ...options, reproduce }, on);
      say(options, `no error: what ${reproduce} has compiles`);
    } else if (wantsText(options)) {
      const sources = await readSources(options, true);
      const program = await compileSources(sources, options, sizesOf(options, sources, on.target));
      // What is printed has stdout to itself.
      const observed = await observedOn(program, sources, { ...options, json: true }, on);
      printText(program, { ...options, ...observed });
    } else await writeFiles(out!, options, on);
  } finally {
    on.release();
  }
  return 0;
}
