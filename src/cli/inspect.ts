/** `webpeft inspect`: everything that the compiler makes of a config, as files. Needs no device. */
import { readFile } from "node:fs/promises";
import { cpuTarget, defaultTarget, type Target } from "../codegen/index.ts";
import { inspectionFiles } from "../inspect/index.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import type { ProgramMode } from "../program.ts";
import { writeFolder } from "../runtime/files/output.ts";
import { compileSources, defaultLength, readSources, type SourceOptions } from "./common.ts";
import { emit, say } from "./output.ts";
import { claimOutput } from "./output-lock.ts";

interface InspectOptions extends SourceOptions {
  readonly mode: ProgramMode;
  readonly batch: number;
  readonly length?: number;
  readonly target?: string;
  readonly out: string;
  readonly overwrite?: boolean;
}

async function targetOf(name: string | undefined): Promise<Target> {
  if (name === undefined || name === "default") return defaultTarget;
  if (name === "cpu") return cpuTarget;
  try {
    return { ...defaultTarget, ...(JSON.parse(await readFile(name, "utf8")) as Partial<Target>) };
  } catch (cause) {
    throw new WebpeftError(
      "CLI-TARGET",
      { message: "there is no such target", where: "--target", expected: "default, cpu, or a JSON file", got: name },
      { cause },
    );
  }
}

export async function run(raw: Record<string, unknown>): Promise<number | undefined> {
  const options = raw as unknown as InspectOptions;
  const overwrite = options.overwrite ?? false;
  await claimOutput(options.out, { overwrite });
  const sources = await readSources(options);
  const { mode, batch } = options;
  const length = options.length ?? defaultLength(sources.model);
  const program = await compileSources(sources, options, {
    mode,
    batch,
    length,
    target: await targetOf(options.target),
  });
  const files = inspectionFiles(program);
  await writeFolder(options.out, files, { overwrite });
  say(options, `${options.out}: ${files.size} files; open report.html`);
  emit(options, { type: "done", out: options.out, files: [...files.keys()] });
  return 0;
}
