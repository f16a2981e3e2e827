/** What an adapter is written as. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { CompiledProgram } from "../../program/index.ts";
import type { AdapterContent } from "../files/adapter.ts";
import { readTextFiles } from "../files/text-files.ts";
import { withExpertFiles } from "./mixed.ts";
import { parametersOf, type RunningAdapter } from "./running.ts";
import { savedTensors } from "./saved.ts";
import type { AdapterValues } from "./values.ts";

/** The files of an adapter with these numbers in what it trains. */
export function writtenContent(
  program: Pick<CompiledProgram, "adapter" | "computed">,
  params: ReadonlyMap<string, Float32Array>,
  values: AdapterValues,
): AdapterContent {
  const plan = program.adapter!;
  const { savedConfig, floatFields } = plan;
  const config = savedConfig as AdapterContent["config"];
  const own = { config, floatFields, ...savedTensors(program, params, values) };
  return withExpertFiles(plan, plan.expertsFrom, own, values, params);
}

/** The files of the adapter in use, with its numbers as they are now. Throws `SESSION-MODE` for what has no files. */
export async function adapterContent(entry: RunningAdapter): Promise<AdapterContent> {
  const { adapter } = entry.program;
  if (adapter === undefined)
    throw new WebpeftError("SESSION-MODE", { message: "the base model alone has no adapter to save" });
  if (adapter.savedConfig.peft_type === undefined)
    throw new WebpeftError("SESSION-MODE", { message: "what is in use is no adapter with a file: use one by name" });
  return writtenContent(entry.program, await parametersOf(entry), entry.values);
}

/** The same with the files of its folder that text is read and written with. */
export async function adapterFolder(entry: RunningAdapter): Promise<AdapterContent> {
  return { ...(await adapterContent(entry)), beside: await readTextFiles(entry.values.tree) };
}
