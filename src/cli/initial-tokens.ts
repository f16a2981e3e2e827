/** Tokens that a fresh prompt begins as: its config names a text and a tokenizer. */
import { resolve } from "node:path";
import { loadTokenizer } from "../runtime/data/tokenizer.ts";
import { openFolder, readText } from "../runtime/files/folder.ts";
import type { Model } from "../runtime/files/model.ts";

/**
 * Ids of `prompt_tuning_init_text` by the tokenizer of `tokenizer_name_or_path`: a folder, or the name of the base model, whose own is used.
 * Undefined where the config has no such text. Throws `FILE-NOT-FOUND` and `DATA-TOKENIZER-MISSING`.
 */
export async function initialTokens(model: Model, config: unknown): Promise<readonly number[] | undefined> {
  if (typeof config !== "object" || config === null) return undefined;
  const { prompt_tuning_init_text: text, tokenizer_name_or_path: name, ...given } = config as Record<string, unknown>;
  if (typeof text !== "string" || typeof name !== "string" || given.prompt_tuning_init !== "TEXT") return undefined;
  const isModel = name === given.base_model_name_or_path || resolve(name) === resolve(model.name);
  const tree = isModel && model.tree !== undefined ? model.tree : await openFolder(name);
  return (await loadTokenizer((file) => readText(tree, file), name)).encodeWhole(text);
}
