/** What an adapter in use is written as. */
import { WebpeftError } from "../ir/diagnostics.ts";
import { methods } from "../methods/index.ts";
import type { AdapterEntry } from "./adapters.ts";
import { withExpertFiles } from "./experts.ts";
import type { AdapterContent } from "./files/adapter.ts";
import { savedTensors } from "./initial.ts";
import { parametersOf } from "./parameters.ts";

/** The files of the adapter in use, with its numbers as they are now. Throws `SESSION-MODE` for what has no files. */
export async function adapterContent(entry: AdapterEntry): Promise<AdapterContent> {
  const { adapter } = entry.program;
  if (adapter === undefined)
    throw new WebpeftError("SESSION-MODE", { message: "the base model alone has no adapter to save" });
  if (adapter.savedConfig.peft_type === undefined)
    throw new WebpeftError("SESSION-MODE", { message: "what is in use is no adapter with a file: use one by name" });
  const config = adapter.savedConfig as AdapterContent["config"];
  const params = await parametersOf(entry);
  const own = { config, floatFields: adapter.floatFields, tensors: savedTensors(adapter, params, entry.values) };
  return withExpertFiles(adapter, methods.get(adapter.peftType)?.expertsFrom, own, entry.values, params);
}
