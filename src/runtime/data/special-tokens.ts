/** Special tokens by name (`bos_token` and so on), as a model folder's `tokenizer_config.json` and `special_tokens_map.json` give them. */
import { isJsonObject, type JsonObject } from "../files/json.ts";

/** Names that every tokenizer may have. */
const usualNames = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

export interface SpecialTokens {
  /** The text of each token by its name; a name without a token is absent. */
  readonly named: Readonly<Record<string, string>>;
  /** Further ones, which have no name. */
  readonly additional: readonly string[];
}

/** A token in these files is a string, or an object with `content`. */
function contentOf(token: unknown): string | undefined {
  if (typeof token === "string") return token;
  return isJsonObject(token) && typeof token.content === "string" ? token.content : undefined;
}

/** The named and further tokens of one file; tokens of the model's own (`image_token`) stand in an object of extra ones. */
function tokensOf(file: JsonObject): SpecialTokens {
  const extra = file.extra_special_tokens ?? file.additional_special_tokens;
  const own = isJsonObject(extra) ? Object.entries(extra) : [];
  const all = [...usualNames.map((name) => [name, file[name]] as const), ...own];
  const named = all.flatMap(([name, token]) => {
    const content = contentOf(token);
    return content === undefined ? [] : [[name, content] as const];
  });
  const additional = Array.isArray(extra) ? extra.flatMap((token) => contentOf(token) ?? []) : [];
  return { named: Object.fromEntries(named), additional };
}

/**
 * The special tokens of a tokenizer. `map`, the content of `special_tokens_map.json`, counts before `config` where `config` does not list its
 * added tokens: that is how older files are read.
 */
export function specialTokens(config: JsonObject, map: JsonObject): SpecialTokens {
  const own = tokensOf(config);
  if (config.added_tokens_decoder !== undefined) return own;
  const older = tokensOf(map);
  const additional = [...new Set([...own.additional, ...older.additional])];
  return { named: { ...own.named, ...older.named }, additional };
}

/** Texts that the config's list of added tokens marks as special. */
function markedSpecial({ added_tokens_decoder: listed }: JsonObject): string[] {
  if (!isJsonObject(listed)) return [];
  return Object.values(listed).flatMap((token) =>
    isJsonObject(token) && token.special === true ? (contentOf(token) ?? []) : [],
  );
}

/** The id of a token in the vocabulary of a `tokenizer.json`, which is an object by token or a list of tokens with scores. */
function vocabularyId(tokenizer: JsonObject, token: string): number | undefined {
  const vocab = isJsonObject(tokenizer.model) ? tokenizer.model.vocab : undefined;
  if (Array.isArray(vocab)) {
    const place = vocab.findIndex((entry) => Array.isArray(entry) && entry[0] === token);
    return place < 0 ? undefined : place;
  }
  const id = isJsonObject(vocab) && Object.hasOwn(vocab, token) ? vocab[token] : undefined;
  return typeof id === "number" ? id : undefined;
}

/**
 * A `tokenizer.json` whose added tokens have all special tokens among them, marked as such: a text is cut at them, and they are not shown
 * in what is decoded. Tokens that the vocabulary lacks stay out.
 */
export function withSpecialTokens(tokenizer: JsonObject, config: JsonObject, tokens: SpecialTokens): JsonObject {
  const special = new Set([...Object.values(tokens.named), ...tokens.additional, ...markedSpecial(config)]);
  const listed = (Array.isArray(tokenizer.added_tokens) ? tokenizer.added_tokens : []).filter(isJsonObject);
  const known = listed.map((token) => {
    if (!special.delete(String(token.content)) || token.special === true) return token;
    // Its own way of being found stays: by default that depends on being special.
    return { ...token, normalized: token.normalized ?? true, special: true };
  });
  const missing = [...special].flatMap((content) => {
    const id = vocabularyId(tokenizer, content);
    return id === undefined ? [] : [{ id, content, special: true }];
  });
  return { ...tokenizer, added_tokens: [...known, ...missing] };
}
