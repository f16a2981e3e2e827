/**
 * Steps of a `tokenizer.json` that the library takes otherwise than the format means them (white space, letters and digits of JavaScript's regular
 * expressions, its lowercase of a final sigma, runs of punctuation), as steps that it takes right. The meaning is that of Hugging Face's
 * tokenizers, in Rust.
 */
import { isJsonObject, type JsonObject } from "../files/json.ts";

const punctuation = "\\p{P}\\x21-\\x2F\\x3A-\\x40\\x5B-\\x60\\x7B-\\x7E";

/** What words are made of; other engines' \w has other digits. */
const letters = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200C\\u200D";

/** Every match is a piece, and so is what stands between two. */
const cutAt = (regex: string): JsonObject => split(regex, "Isolated", false);
/** Every match is a piece; what stands between them is left out. */
const matches = (regex: string): JsonObject => split(regex, "Removed", true);
const split = (Regex: string, behavior: string, invert: boolean): JsonObject => ({
  ...{ type: "Split", pattern: { Regex }, behavior, invert },
});

/** How punctuation is cut out, by its behaviour. */
const punctuationCuts: Readonly<Record<string, JsonObject>> = {
  isolated: cutAt(`[${punctuation}]`),
  contiguous: cutAt(`[${punctuation}]+`),
  removed: matches(`[^${punctuation}]+`),
  mergedwithprevious: matches(`[^${punctuation}]*[${punctuation}]|[^${punctuation}]+`),
  mergedwithnext: matches(`[${punctuation}][^${punctuation}]*|[^${punctuation}]+`),
};

/** A sigma at the end of a word is no other letter. */
const plainSigma = { type: "Replace", pattern: { String: "\u03a3" }, content: "\u03c3" };
const lowered = (step: JsonObject): JsonObject => ({ type: "Sequence", normalizers: [plainSigma, step] });

const byteWords = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** A blank in front of every text or piece that has none, where it is asked for; its words; their bytes. */
function byteSteps(step: JsonObject): JsonObject {
  const blank = { type: "Replace", pattern: { Regex: "\\A(?! )" }, content: " " };
  const words = step.use_regex === false ? [] : [cutAt(byteWords)];
  const bytes = { ...step, add_prefix_space: false, use_regex: false };
  return { type: "Sequence", pretokenizers: [...(step.add_prefix_space === true ? [blank] : []), ...words, bytes] };
}

const normalizers: Readonly<Record<string, (step: JsonObject) => JsonObject>> = {
  Lowercase: lowered,
  BertNormalizer: (step) => (step.lowercase === true ? lowered(step) : step),
};

const preTokenizers: Readonly<Record<string, (step: JsonObject) => JsonObject>> = {
  ByteLevel: byteSteps,
  Whitespace: () => matches(`[${letters}]+|[^${letters}\\s]+`),
  WhitespaceSplit: () => matches("\\S+"),
  BertPreTokenizer: () => matches(`[^\\s${punctuation}]+|[${punctuation}]`),
  Digits: ({ individual_digits: single }) => cutAt(single === true ? "\\p{N}" : "\\p{N}+"),
  Punctuation: (step) => punctuationCuts[String(step.behavior ?? "Isolated").toLowerCase()] ?? step,
};

/** A step with those that it is made of in the place of each that has a rule. */
function ruled(step: unknown, list: string, rules: typeof normalizers): unknown {
  if (!isJsonObject(step)) return step;
  const inner = step[list];
  if (Array.isArray(inner)) return { ...step, [list]: inner.map((one) => ruled(one, list, rules)) };
  return rules[String(step.type)]?.(step) ?? step;
}

/** A `tokenizer.json` for the library. */
export const forLibrary = (json: JsonObject): JsonObject => ({
  ...json,
  normalizer: ruled(json.normalizer, "normalizers", normalizers),
  pre_tokenizer: ruled(json.pre_tokenizer, "pretokenizers", preTokenizers),
});

/** What of the library cuts a text at added tokens. */
interface Cutting {
  readonly splitter_unnormalized: { split(text: string): string[] };
  readonly splitter_normalized: { split(text: string): string[] };
  readonly added_tokens_map: ReadonlyMap<string, { readonly single_word: boolean }>;
}

const wordEnds = new RegExp(`[${letters}]$`, "u");
const wordBegins = new RegExp(`^[${letters}]`, "u");

/** Pieces of a text, where added tokens that are to be words of their own and touch letters are text as any other. */
function joined(pieces: readonly string[], { added_tokens_map: added }: Cutting): string[] {
  const made: string[] = [];
  let isOpen = false;
  pieces.forEach((piece, i) => {
    const token = added.get(piece);
    const touches = wordEnds.test(pieces[i - 1] ?? "") || wordBegins.test(pieces[i + 1] ?? "");
    const isText = token === undefined || (token.single_word && touches);
    made.push(isText && isOpen ? `${made.pop()!}${piece}` : piece);
    isOpen = isText;
  });
  return made;
}

/** Has the library's tokenizer keep to `single_word`, which it reads and does not use. */
export function cutAtWords<T>(tokenizer: T): T {
  const cutting = tokenizer as unknown as Cutting;
  for (const splitter of [cutting.splitter_unnormalized, cutting.splitter_normalized]) {
    const split = splitter.split.bind(splitter);
    splitter.split = (text) => joined(split(text), cutting);
  }
  return tokenizer;
}
