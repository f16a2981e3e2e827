/** `webpeft inspect`: everything that the compiler makes of a config, as files, or a part of it on stdout. Needs no device. */
import { gzipSync } from "node:zlib";
import type { Target } from "../codegen/index.ts";
import { type Inspection, inspectProgram, PassRecord } from "../inspect/index.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import type { ProgramMode } from "../program/index.ts";
import { writeFolder } from "../runtime/files/output.ts";
import { forecastTarget } from "../runtime/session/memory.ts";
import { compileSources, defaultLength, readSources, type SourceOptions, type Sources } from "./common.ts";
import { runDiff } from "./inspect-diff.ts";
import { checkTextOptions, printText, type TextOptions, wantsText } from "./inspect-text.ts";
import { type InspectedOn, inspectedOn, measuredOn } from "./measure.ts";
import { memoryLine } from "./memory.ts";
import { emit, say } from "./output.ts";
import { claimOutput } from "./output-lock.ts";

export interface InspectOptions extends SourceOptions, TextOptions {
  readonly diff?: readonly string[];
  readonly mode: ProgramMode;
  readonly batch: number;
  readonly length?: number;
  readonly target?: string;
  readonly memory?: number;
  readonly measure?: boolean;
  readonly out?: string;
  readonly overwrite?: boolean;
}

type Sizes = Pick<InspectOptions, "mode" | "batch" | "memory"> & { readonly length: number; readonly target: Target };

const sizesOf = ({ mode, batch, length, memory }: InspectOptions, { model }: Sources, target: Target): Sizes => ({
  ...{ mode, batch, target },
  ...(memory === undefined ? {} : { memory }),
  length: length ?? defaultLength(model),
});

const pack = (text: string): string => gzipSync(text).toString("base64");

/** Compiles as far as it goes, measures where that is asked for, and tells what the program will take. */
async function inspect(sources: Sources, options: InspectOptions, on: InspectedOn): Promise<Inspection> {
  const record = new PassRecord();
  try {
    const onPass = record.listen;
    const program = await compileSources(sources, options, { ...sizesOf(options, sources, on.target), onPass });
    const made = await measuredOn(program, sources, options, on);
    const inspection = inspectProgram(program, { pack, ...made });
    if (inspection.error === undefined && options.mode !== "merge")
      say(options, memoryLine(forecastTarget(program, sources.model)));
    return inspection;
  } catch (error) {
    return record.inspect(error);
  }
}

async function writeFiles(out: string, options: InspectOptions, on: InspectedOn): Promise<void> {
  const overwrite = options.overwrite ?? false;
  await claimOutput(out, { overwrite });
  const sources = await readSources(options, true);
  const { files, error } = await inspect(sources, options, on);
  await writeFolder(out, files, { overwrite });
  if (error !== undefined) {
    say(options, `${out}: what was made before the error, ${files.size} files; error.txt has the error`);
    throw error;
  }
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
  if (options.model === undefined)
    throw new WebpeftError("CLI-INSPECT", { message: "inspect wants a --model, or --diff with two folders" });
  if (!wantsText(options) && options.out === undefined)
    throw new WebpeftError("CLI-INSPECT", {
      message: "inspect has nothing to do",
      help: "name a folder for its files with --out, or what it prints with --print or --kernels",
    });
  const on = await inspectedOn(options);
  try {
    if (wantsText(options)) {
      const sources = await readSources(options, true);
      const program = await compileSources(sources, options, sizesOf(options, sources, on.target));
      // What is printed has stdout to itself.
      const made = await measuredOn(program, sources, { ...options, json: true }, on);
      printText(program, { ...options, ...made });
    } else await writeFiles(options.out!, options, on);
  } finally {
    on.release();
  }
  return 0;
}
