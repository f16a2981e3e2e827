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
import { memoryLine } from "./memory.ts";
import { emit, say } from "./output.ts";
import { claimOutput } from "./output-lock.ts";
import { readTarget } from "./target.ts";

interface InspectOptions extends SourceOptions, TextOptions {
  readonly diff?: readonly string[];
  readonly mode: ProgramMode;
  readonly batch: number;
  readonly length?: number;
  readonly target?: string;
  readonly memory?: number;
  readonly out?: string;
  readonly overwrite?: boolean;
}

type Sizes = Pick<InspectOptions, "mode" | "batch" | "memory"> & { readonly length: number; readonly target: Target };

const sizesOf = ({ mode, batch, length, memory }: InspectOptions, { model }: Sources, target: Target): Sizes => ({
  ...{ mode, batch, target },
  ...(memory === undefined ? {} : { memory }),
  length: length ?? defaultLength(model),
});

/** Compiles as far as it goes, and tells what the program will take. */
async function inspect(sources: Sources, options: InspectOptions, target: Target): Promise<Inspection> {
  const record = new PassRecord();
  try {
    const onPass = record.listen;
    const program = await compileSources(sources, options, { ...sizesOf(options, sources, target), onPass });
    const inspection = inspectProgram(program, (text) => gzipSync(text).toString("base64"));
    if (inspection.error === undefined && options.mode !== "merge")
      say(options, memoryLine(forecastTarget(program, sources.model)));
    return inspection;
  } catch (error) {
    return record.inspect(error);
  }
}

async function writeFiles(out: string, options: InspectOptions, target: Target): Promise<void> {
  const overwrite = options.overwrite ?? false;
  await claimOutput(out, { overwrite });
  const sources = await readSources(options, true);
  const { files, error } = await inspect(sources, options, target);
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
  const target = await readTarget(options.target);
  if (wantsText(options)) {
    const sources = await readSources(options, true);
    printText(await compileSources(sources, options, sizesOf(options, sources, target)), options);
  } else if (options.out === undefined) {
    throw new WebpeftError("CLI-INSPECT", {
      message: "inspect has nothing to do",
      help: "name a folder for its files with --out, or what it prints with --print or --kernels",
    });
  } else await writeFiles(options.out, options, target);
  return 0;
}
