/** Text to token ids and back, by the model's own `tokenizer.json`; chat templates by the model's own template. */
import type { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { WebpeftError } from "../../ir/diagnostics.ts";
import { isJsonObject, type JsonObject } from "../files/json.ts";
import { jsonPlace } from "../files/json-place.ts";
import { chatRenderer, type RenderChat, templateSource } from "./chat-template.ts";
import { specialTokens, withSpecialTokens } from "./special-tokens.ts";
import { TimeUp, textBudget, timeBudget } from "./time-budget.ts";
import {
  type CutTokens,
  cutTokens,
  type SpanTokens,
  spanTokens,
  type TokenMarks,
  type Tokens,
} from "./token-places.ts";
import { cutAtWords, forLibrary } from "./tokenizer-steps.ts";

export type { ChatMessage } from "./chat-template.ts";

/** Reads a file of the model folder as text; undefined when it is not there. */
export type ReadText = (name: string) => Promise<string | undefined>;

export interface TextTokenizer {
  /** Ids of a text, without special tokens. Throws `DATA-TOKENIZER-TIME` for a text that the tokenizer does not get done with. */
  encode(text: string): number[];
  /** Ids of a text with the special tokens that the tokenizer puts around it. */
  encodeWhole(text: string): number[];
  /**
   * `encode(text)`, and for every place of `cuts` (ascending, in UTF-16 units) how many of the tokens begin before it. A token that reaches
   * over a place begins before it.
   */
  encodeCut(text: string, cuts: readonly number[]): CutTokens;
  /** `encode(text)`, and which of the tokens hold characters of `text.slice(from, to)`. */
  encodeSpan(text: string, from: number, to: number): SpanTokens;
  /** Ids of each of a text's words, every word a text of its own: a blank is in front only where the tokenizer puts one in front of texts. */
  encodeWords(words: readonly string[]): (readonly number[])[];
  /** Two texts, and the special tokens that the tokenizer puts around them, with their types. */
  readonly pair: readonly PairPart[];
  /** Special tokens that the tokenizer puts in front of a text and behind it. */
  readonly front: readonly number[];
  readonly back: readonly number[];
  /** Text of ids, special tokens left out. */
  decode(ids: readonly number[]): string;
  /** The part of `decode(ids)` that stays whatever follows: without a character whose bytes are not all there yet. */
  decodeStable(ids: readonly number[]): string;
  /** Id of the token that ends a text, when the model has one. */
  readonly endToken?: number;
  readonly beginToken?: number;
  /** Id of the token that stands for padding. */
  readonly padToken?: number;
  /** The text of a conversation; absent when the model has no chat template. */
  readonly chat?: RenderChat;
}

/** A special token by its id, or the first or second text. */
type PairPart =
  | { readonly text?: undefined; readonly id: number; readonly type: number }
  | { readonly text: 0 | 1; readonly type: number };

function parse(name: string, text: string): JsonObject {
  const fields = { where: name, help: "download the file again" };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const where = jsonPlace(name, text);
    throw new WebpeftError("DATA-TOKENIZER", { message: `${name} is not valid JSON`, ...fields, where }, { cause });
  }
  if (isJsonObject(value)) return value;
  throw new WebpeftError("DATA-TOKENIZER", { message: `${name} holds no JSON object`, ...fields });
}

function missing(folder: string): WebpeftError {
  return new WebpeftError("DATA-TOKENIZER-MISSING", {
    message: "the model folder has no tokenizer, and the data is text",
    where: folder,
    expected: "tokenizer.json",
    help: "put the model's tokenizer.json (and tokenizer_config.json) into its folder, or give ready token ids as .safetensors",
  });
}

/** What the tokenizer puts in front of every text and behind it, found by a token that nobody else has. */
function frame(tokenizer: LibraryTokenizer): Pick<TextTokenizer, "front" | "back"> {
  const probe = "\u0000";
  const around = tokenizer.post_processor?.post_process([probe], null, true).tokens ?? [probe];
  const place = around.indexOf(probe);
  const ids = (texts: readonly string[]) => texts.flatMap((text) => tokenizer.token_to_id(text) ?? []);
  return { front: ids(around.slice(0, place)), back: ids(around.slice(place + 1)) };
}

/** Whether a step of a tokenizer is of a type, or one of those that it is made of. */
function hasStep(step: unknown, isMeant: (step: JsonObject) => boolean): boolean {
  if (!isJsonObject(step)) return false;
  const inner = [step.normalizers, step.pretokenizers, step.processors].flatMap((steps) =>
    Array.isArray(steps) ? steps : [],
  );
  return isMeant(step) || inner.some((one) => hasStep(one, isMeant));
}

/** The same of two texts. RoBERTa has one type for both. */
function pairOf(tokenizer: LibraryTokenizer, { post_processor: last }: JsonObject): readonly PairPart[] {
  const hasTypes = !hasStep(last, ({ type }) => type === "RobertaProcessing");
  const probes = ["\u0000", "\u0001"] as const;
  const made = tokenizer.post_processor?.post_process([probes[0]], [probes[1]], true);
  const tokens = made?.tokens ?? probes;
  return tokens.flatMap((token, i): PairPart[] => {
    const type = hasTypes ? (made?.token_type_ids?.[i] ?? 0) : 0;
    const text = probes.indexOf(token as (typeof probes)[number]);
    if (text >= 0) return [{ text: text as 0 | 1, type }];
    const id = tokenizer.token_to_id(token);
    return id === undefined ? [] : [{ id, type }];
  });
}

function marksOf({ model, normalizer, pre_tokenizer }: JsonObject): TokenMarks {
  const fields = isJsonObject(model) ? model : {};
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  const blanks = new Set<string>();
  const collect = ({ type, replacement, prepend }: JsonObject): boolean => {
    if (type === "ByteLevel") blanks.add("\u0120");
    if (type === "Metaspace") blanks.add(text(replacement) || "\u2581");
    if (type === "Prepend") blanks.add(text(prepend));
    return false;
  };
  for (const step of [normalizer, pre_tokenizer]) hasStep(step, collect);
  return { front: text(fields.continuing_subword_prefix), back: text(fields.end_of_word_suffix), blanks };
}

/** The token that stands for what the vocabulary lacks. */
function unknownOf({ model }: JsonObject): unknown {
  const { unk_token: named, unk_id: place, vocab } = isJsonObject(model) ? model : {};
  const entry: unknown = Array.isArray(vocab) && typeof place === "number" ? vocab[place] : undefined;
  return Array.isArray(entry) ? entry[0] : named;
}

/**
 * Added tokens that stand for themselves only: found in the text as it is, without the blanks beside them. What is unknown may be any text, and
 * its token separates nothing.
 */
function separatorsOf(json: JsonObject): ReadonlySet<string> {
  const { added_tokens: added } = json;
  const unknown = unknownOf(json);
  const tokens = (Array.isArray(added) ? added : []).filter(isJsonObject);
  const separating = tokens.filter(
    (token) => !(token.normalized ?? !token.special) && !token.lstrip && !token.rstrip && token.content !== unknown,
  );
  return new Set(separating.map(({ content }) => String(content)));
}

/** Blanks before punctuation are taken out of decoded text where the config says so, and never of BPE's, whose text has none too many. */
function cleansBlanks({ model }: JsonObject, config: JsonObject): boolean {
  const kind = isJsonObject(model) ? (model.type ?? ("merges" in model ? "BPE" : undefined)) : undefined;
  return config.clean_up_tokenization_spaces === true && kind !== "BPE";
}

/**
 * The tokenizer of a model folder. Throws `DATA-TOKENIZER-MISSING` when it has no `tokenizer.json`, `DATA-TOKENIZER` when its files cannot be
 * used.
 */
export async function loadTokenizer(readText: ReadText, folder: string): Promise<TextTokenizer> {
  const source = await readText("tokenizer.json");
  if (source === undefined) throw missing(folder);
  const config = parse("tokenizer_config.json", (await readText("tokenizer_config.json")) ?? "{}");
  const tokens = specialTokens(
    config,
    parse("special_tokens_map.json", (await readText("special_tokens_map.json")) ?? "{}"),
  );
  const json = withSpecialTokens(parse("tokenizer.json", source), config, tokens);
  const where = `${folder}/tokenizer.json`;
  const within = await timeBudget();
  const { Tokenizer } = await import("@huggingface/tokenizers");
  const [tokenizer, around, pair] = usable(where, () => {
    const made = cutAtWords(new Tokenizer(forLibrary(json), config));
    return [made, frame(made), pairOf(made, json)] as const;
  });
  const tokenize = (text: string): Tokens => {
    const encode = () => tokenizer.encode(text, { add_special_tokens: false });
    const { ids, tokens: texts } = usable(where, () => within(encode, textBudget(text.length)));
    const lost = texts.find((_text, i) => ids[i] === undefined);
    if (lost === undefined) return { ids, texts };
    throw unusable(where, `no id for ${JSON.stringify(lost)}, and no token for what is unknown`);
  };
  const options = { skip_special_tokens: true, clean_up_tokenization_spaces: cleansBlanks(json, config) };
  const decode = (ids: readonly number[]): string =>
    ids.length === 0
      ? ""
      : usable(where, () => within(() => tokenizer.decode([...ids], options), textBudget(ids.length)));
  const idOf = (name: string) =>
    tokens.named[name] === undefined ? undefined : tokenizer.token_to_id(tokens.named[name]);
  const [beginToken, endToken, padToken] = [idOf("bos_token"), idOf("eos_token"), idOf("pad_token")];
  const template = templateSource(folder, config, await readText("chat_template.jinja"));
  const words = new Map<string, readonly number[]>();
  const encodeWord = (word: string): readonly number[] => {
    const ids = words.get(word) ?? tokenize(word).ids;
    words.set(word, ids);
    return ids;
  };
  const how = { tokenize, marks: marksOf(json), separators: separatorsOf(json) };
  return {
    encode: (text) => [...tokenize(text).ids],
    encodeWhole: (text) => [...around.front, ...tokenize(text).ids, ...around.back],
    encodeCut: (text, cuts) => cutTokens(text, cuts, how),
    encodeSpan: (text, from, to) => spanTokens(text, from, to, how),
    encodeWords: (texts) => texts.map(encodeWord),
    ...{ ...around, pair },
    decode,
    decodeStable: (ids) => stablePart(decode(ids), options.clean_up_tokenization_spaces),
    ...(beginToken === undefined ? {} : { beginToken }),
    ...(endToken === undefined ? {} : { endToken }),
    ...(padToken === undefined ? {} : { padToken }),
    ...(template === undefined ? {} : { chat: await chatRenderer(template, tokens, within) }),
  };
}

/**
 * What no further token changes: a character that is cut shows as one mark at the end; where blanks are taken out, one that stands before the
 * last letters may go yet (the longest that goes with its letters is " n't").
 */
function stablePart(text: string, cleansBlanks: boolean): string {
  const whole = text.endsWith("\ufffd") ? text.slice(0, -1) : text;
  return cleansBlanks ? whole.replace(/ [^ ]{0,2}$/, "") : whole;
}

function unusable(where: string, got: string, cause?: unknown): WebpeftError {
  return new WebpeftError("DATA-TOKENIZER", { message: "the tokenizer cannot be used", where, got }, { cause });
}

/** Throws `DATA-TOKENIZER` for whatever the library throws at a file that it cannot use, `DATA-TOKENIZER-TIME` for work that was stopped. */
function usable<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof WebpeftError) throw cause;
    if (!(cause instanceof TimeUp)) throw unusable(where, String(cause), cause);
    throw new WebpeftError("DATA-TOKENIZER-TIME", {
      message: "the tokenizer does not come to an end with a text, and was stopped",
      where,
      expected: "regular expressions that end",
      got: cause.message,
      help: "A regular expression with one repetition inside of another, like (a+)+, takes forever on texts that it does not match.",
    });
  }
}
