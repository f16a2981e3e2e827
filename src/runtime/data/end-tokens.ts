/** Tokens that end a text, as transformers finds them. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { pathIn, readText } from "../files/folder.ts";
import { parseJsonObject } from "../files/json.ts";
import type { Model } from "../files/model.ts";

const file = "generation_config.json";

/**
 * The end tokens that the model's `generation_config.json` names, one or a list; `fallback`, those of `config.json`, where it names none or is
 * not there. Throws `FILE-JSON`, and `MODEL-FIELD` for what is no token.
 */
export async function endTokens({ tree }: Model, fallback: readonly number[]): Promise<readonly number[]> {
  const text = tree === undefined ? undefined : await readText(tree, file);
  if (tree === undefined || text === undefined) return fallback;
  const { eos_token_id: given } = parseJsonObject(text, pathIn(tree, file));
  if (given === null || given === undefined) return fallback;
  const ids: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (ids.every((id) => Number.isSafeInteger(id))) return ids as readonly number[];
  throw new WebpeftError("MODEL-FIELD", {
    message: "the end tokens of the generation config are not usable",
    where: `${pathIn(tree, file)}: eos_token_id`,
    expected: "a token id or a list of them",
    got: JSON.stringify(given).slice(0, 80),
  });
}
