/** Tokens that a fresh prompt begins as: its config names a text and a tokenizer. */
import { resolve } from "node:path";
import { WebpeftError } from "../ir/diagnostics.ts";
import { loadTokenizer } from "../runtime/data/tokenizer.ts";
import { readText } from "../runtime/files/folder.ts";
import type { Model } from "../runtime/files/model.ts";

/**
 * Ids of `prompt_tuning_init_text` by the tokenizer of `tokenizer_name_or_path`, which must be that of the base model: a config leads to no
 * other folder. Undefined where the config has no such text. Throws `CONFIG-TOKENIZER` and `DATA-TOKENIZER-MISSING`.
 */
export async function initialTokens(model: Model, config: unknown): Promise<readonly number[] | undefined> {
  if (typeof config !== "object" || config === null) return undefined;
  const { prompt_tuning_init_text: text, tokenizer_name_or_path: name, ...given } = config as Record<string, unknown>;
  if (typeof text !== "string" || typeof name !== "string" || given.prompt_tuning_init !== "TEXT") return undefined;
  const { tree } = model;
  const isModel = name === given.base_model_name_or_path || resolve(name) === resolve(model.name);
  if (!isModel || tree === undefined) {
    throw new WebpeftError("CONFIG-TOKENIZER", {
      message: "a prompt begins as text in the tokens of the base model, and the config names another tokenizer",
      where: "tokenizer_name_or_path",
      expected: `${JSON.stringify(model.name)}, or what base_model_name_or_path says`,
      got: JSON.stringify(name),
      help: "name the model's own folder; its tokenizer is the one that knows the rows of its embedding",
    });
  }
  return (await loadTokenizer((file) => readText(tree, file), model.name)).encodeWhole(text);
}
