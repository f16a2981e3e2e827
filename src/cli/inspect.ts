/** `webpeft inspect`: everything that the compiler makes of a config, as files. Needs no device. */
import type { Target } from "../codegen/index.ts";
import { type Inspection, inspectProgram, PassRecord } from "../inspect/index.ts";
import type { ProgramMode } from "../program/index.ts";
import { writeFolder } from "../runtime/files/output.ts";
import { forecastTarget } from "../runtime/session/memory.ts";
import { compileSources, defaultLength, readSources, type SourceOptions, type Sources } from "./common.ts";
import { memoryLine } from "./memory.ts";
import { emit, say } from "./output.ts";
import { claimOutput } from "./output-lock.ts";
import { readTarget } from "./target.ts";

interface InspectOptions extends SourceOptions {
  readonly mode: ProgramMode;
  readonly batch: number;
  readonly length?: number;
  readonly target?: string;
  readonly out: string;
  readonly overwrite?: boolean;
}

/** Compiles as far as it goes, and tells what the program will take. */
async function inspect(sources: Sources, options: InspectOptions, target: Target): Promise<Inspection> {
  const { mode, batch } = options;
  const length = options.length ?? defaultLength(sources.model);
  const record = new PassRecord();
  try {
    const onPass = record.listen;
    const program = await compileSources(sources, options, { mode, batch, length, target, onPass });
    const inspection = inspectProgram(program);
    if (inspection.error === undefined && mode !== "merge")
      say(options, memoryLine(forecastTarget(program, program.generated, target, sources.model)));
    return inspection;
  } catch (error) {
    return record.inspect(error);
  }
}

export async function run(raw: Record<string, unknown>): Promise<number | undefined> {
  const options = raw as unknown as InspectOptions;
  const overwrite = options.overwrite ?? false;
  const target = await readTarget(options.target);
  await claimOutput(options.out, { overwrite });
  const sources = await readSources(options, true);
  const { files, error } = await inspect(sources, options, target);
  await writeFolder(options.out, files, { overwrite });
  if (error !== undefined) {
    say(options, `${options.out}: what was made before the error, ${files.size} files; error.txt has the error`);
    throw error;
  }
  say(options, `${options.out}: ${files.size} files; open report.html`);
  emit(options, { type: "done", out: options.out, files: [...files.keys()] });
  return 0;
}
