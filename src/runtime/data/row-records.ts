/**
 * Lines of data for models with heads other than those that write: `{"text","label"}` or two texts with a label for classifiers of rows,
 * `{"tokens","labels"}` for classifiers of tokens, `{"question","context","answer"}` for models that find spans, `{"prompt","completion"}` for encoder-decoders that write. Texts get the tokenizer's special
 * tokens; what is made of a line has `length` tokens at most.
 */
import { ignoredLabel } from "../../models/loss.ts";
import type { ModelHead } from "../../models/model.ts";
import { requireCharacters } from "./examples.ts";
import { takenLabels } from "./head-labels.ts";
import { classOf, labelOf, lineFault, type RowLabels } from "./row-labels.ts";
import type { TextTokenizer } from "./tokenizer.ts";

export interface LabelledRow {
  readonly ids: readonly number[];
  /** Types of the tokens, where there are two texts. */
  readonly types?: readonly number[];
  /** What the head takes for a row: numbers of it, of every token, or the first and the last place. */
  readonly label: readonly number[];
  /** Tokens of the whole line. */
  readonly whole: number;
}

interface Line extends RowLabels {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly tokenizer: TextTokenizer;
  readonly length: number;
  /** Tokens that windows of one context share; undefined where a row has the first tokens of its context alone. */
  readonly stride?: number | undefined;
  readonly where: string;
}

/** A row cut at `length` tokens; what the tokenizer puts around a text stays. */
function cutRow(ids: readonly number[], length: number, { front, back }: TextTokenizer): readonly number[] {
  if (ids.length <= length) return ids;
  const inner = ids.slice(front.length, ids.length - back.length);
  return [...front, ...inner.slice(0, length - front.length - back.length), ...back].slice(0, length);
}

/** How many tokens two texts keep of `room`: the longer one loses first, as tokenizers of Hugging Face cut it. */
function shares(first: number, second: number, room: number): readonly [number, number] {
  if (first + second <= room) return [first, second];
  const [shorter, longer] = first > second ? [second, first] : [first, second];
  const rest = shorter > room ? shorter : Math.max(shorter, room - shorter);
  const kept =
    shorter + rest > room
      ? ([room >> 1, (room >> 1) + (room % 2)] as const)
      : ([shorter, Math.min(longer, rest)] as const);
  return first > second ? [kept[1], kept[0]] : kept;
}

/** Two texts with what the tokenizer puts around them. */
function paired({ pair }: TextTokenizer, texts: readonly (readonly number[])[]): Pick<LabelledRow, "ids" | "types"> {
  const of = (part: TextTokenizer["pair"][number]): readonly number[] =>
    part.text === undefined ? [part.id] : texts[part.text]!;
  return { ids: pair.flatMap(of), types: pair.flatMap((part) => of(part).map(() => part.type)) };
}

/** Tokens that are in no text of a pair. */
const around = ({ pair }: TextTokenizer): number => pair.filter(({ text }) => text === undefined).length;

/** Names of two texts. */
const pairNames = [
  ["text", "text_pair"],
  ["sentence1", "sentence2"],
] as const;

function classifiedRow(line: Line): LabelledRow | undefined {
  const { fields, tokenizer, length, where } = line;
  const names = pairNames.find((pair) => pair.every((name) => typeof fields[name] === "string"));
  const texts = (names ?? ["text"]).map((name) => fields[name]);
  const hasPair = pairNames.some(([, second]) => fields[second] !== undefined);
  if (
    !texts.every((text) => typeof text === "string") ||
    fields.label === undefined ||
    (hasPair && names === undefined)
  )
    return undefined;
  requireCharacters(texts, where);
  const label = labelOf(fields.label, line);
  if (texts.length === 1) {
    const ids = tokenizer.encodeWhole(texts[0]!);
    return { ids: cutRow(ids, length, tokenizer), label, whole: ids.length };
  }
  const [first, second] = texts.map((text) => tokenizer.encode(text)) as [number[], number[]];
  const kept = shares(first.length, second.length, Math.max(0, length - around(tokenizer)));
  const row = paired(tokenizer, [first.slice(0, kept[0]), second.slice(0, kept[1])]);
  return { ...row, label, whole: first.length + second.length + around(tokenizer) };
}

/** The first token of a word has its label; what else there is counts not. */
function labelledTokens(line: Line): LabelledRow | undefined {
  const { fields, tokenizer, length, where } = line;
  const { tokens: words, labels } = fields;
  if (!Array.isArray(words) || !words.every((word) => typeof word === "string") || !Array.isArray(labels))
    return undefined;
  if (words.length !== labels.length)
    throw lineFault(
      "there are not as many labels as tokens",
      where,
      `${words.length} labels`,
      `${labels.length} labels`,
    );
  requireCharacters(words, where);
  const pieces = tokenizer.encodeWords(words);
  const { front, back } = tokenizer;
  const inner = pieces.flat();
  const classes = pieces.flatMap((ids, i) => {
    const label = labels[i] === ignoredLabel ? ignoredLabel : classOf(labels[i], line);
    return ids.map((_id, piece) => (piece === 0 ? label : ignoredLabel));
  });
  const room = Math.max(0, length - front.length - back.length);
  const ids = [...front, ...inner.slice(0, room), ...back];
  const outside = (those: readonly number[]): number[] => those.map(() => ignoredLabel);
  return {
    ids,
    label: [...outside(front), ...classes.slice(0, room), ...outside(back)],
    whole: front.length + inner.length + back.length,
  };
}

/** The text of an answer, and where it begins in UTF-16 units; undefined where there is none. */
interface Answer {
  readonly text: string;
  readonly at: number;
}

/** Places are counted in characters, as Python counts them. */
const unitsBefore = (text: string, characters: number): number => [...text].slice(0, characters).join("").length;

function answerOf({ fields, where }: Line, context: string): Answer | undefined {
  const { answers, answer, start } = fields;
  const squad = answers as { text?: unknown; answer_start?: unknown } | undefined;
  const [text, place] =
    answers === undefined
      ? [answer, start]
      : [squad?.text, squad?.answer_start].map((list) => (Array.isArray(list) ? list[0] : undefined));
  const isNone =
    answers === undefined ? answer === null || answer === "" : Array.isArray(squad?.text) && squad.text.length === 0;
  if (isNone) return undefined;
  const expected = "an answer that stands in the context, and the place where it does, counted in characters from 0";
  if (typeof text !== "string")
    throw lineFault("the line has no answer", where, `${expected}; null where there is none`, fields);
  const first = context.indexOf(text);
  if (place === undefined || place === null) {
    if (first >= 0 && context.indexOf(text, first + 1) < 0) return { text, at: first };
    const message =
      first < 0 ? "the answer does not stand in the context" : "the answer stands in the context more than once";
    throw lineFault(message, where, expected, text, 'give its place: "start": 17');
  }
  const at = Number.isSafeInteger(place) && (place as number) >= 0 ? unitsBefore(context, place as number) : -1;
  if (at >= 0 && context.startsWith(text, at)) return { text, at };
  const elsewhere = first < 0 ? undefined : `it stands at ${[...context.slice(0, first)].length}`;
  throw lineFault(
    "the answer does not stand where the line says",
    where,
    expected,
    { answer: text, start: place },
    elsewhere,
  );
}

/** The tokens of a context that rows have: the first `room` of `count`, or windows of as many that share `stride` each with the next. */
function windowsOf(count: number, room: number, stride: number | undefined): readonly (readonly [number, number])[] {
  if (stride === undefined || count <= room) return [[0, Math.min(count, room)]];
  const windows = Math.ceil((count - stride) / (room - stride));
  return Array.from({ length: windows }, (_unused, i) => {
    const from = i * (room - stride);
    return [from, Math.min(from + room, count)] as const;
  });
}

/** Tokens that are left for a context. Throws `DATA-LINE` where there are none, or no more than windows share. */
function roomFor(asked: readonly number[], { tokenizer, length, stride = 0, where }: Line): number {
  const room = length - around(tokenizer) - asked.length;
  if (room > stride) return room;
  const most = length - around(tokenizer) - stride - 1;
  throw lineFault(
    stride === 0
      ? "the question leaves no room for its context"
      : "the question leaves no room for windows of its context",
    where,
    most < 1 ? `rows of more than ${around(tokenizer) + stride + 1} tokens` : `a question of ${most} tokens at most`,
    `${asked.length} tokens`,
    `--length ${asked.length + around(tokenizer) + stride + 1} or more keeps it${stride === 0 ? "" : ", or a smaller --doc-stride"}`,
  );
}

/**
 * A question with its context, or with each window of it. The places are those of the first and the last token that hold characters of the
 * answer. Without an answer, and in windows that do not hold all of it, they are the first token, as in SQuAD 2. Where there are no windows an
 * answer that was cut off has no place: it lies outside.
 */
function foundSpans(line: Line): LabelledRow[] | undefined {
  const { fields, tokenizer, length, stride, where } = line;
  const { question, context } = fields;
  if (typeof question !== "string" || typeof context !== "string") return undefined;
  requireCharacters([question, context], where);
  const answer = answerOf(line, context);
  const asked = tokenizer.encode(question);
  const room = roomFor(asked, line);
  const { ids, ...found } =
    answer === undefined
      ? { ids: tokenizer.encode(context) }
      : tokenizer.encodeSpan(context, answer.at, answer.at + answer.text.length);
  const second = tokenizer.pair.findIndex(({ text }) => text === 1);
  const front = tokenizer.pair
    .slice(0, second)
    .reduce((sum, { text }) => sum + (text === undefined ? 1 : asked.length), 0);
  const outside = answer === undefined || stride !== undefined ? 0 : length;
  return windowsOf(ids.length, room, stride).map(([from, to]): LabelledRow => {
    const row = paired(tokenizer, [asked, ids.slice(from, to)]);
    const places = "first" in found ? [found.first - from, found.last - from] : [];
    const isWhole = places.length > 0 && places.every((place) => place >= 0 && place < to - from);
    const label = isWhole ? places.map((place) => front + place) : [outside, outside];
    return { ...row, label, whole: row.ids.length + (stride === undefined ? ids.length - to : 0) };
  });
}

/** A text, and the one that is written after it as labels; each has what the tokenizer puts around a text, and `length` tokens at most. */
function writtenRow({ fields, tokenizer, length, where }: Line): LabelledRow | undefined {
  const { prompt, completion } = fields;
  if (typeof prompt !== "string" || typeof completion !== "string") return undefined;
  requireCharacters([prompt, completion], where);
  const [ids, label] = [prompt, completion].map((text) => tokenizer.encodeWhole(text)) as [number[], number[]];
  return {
    ...{ ids: cutRow(ids, length, tokenizer), label: cutRow(label, length, tokenizer) },
    whole: Math.max(ids.length, label.length),
  };
}

/** What a line is as one row. */
const alone =
  (read: (line: Line) => LabelledRow | undefined) =>
  (line: Line): LabelledRow[] | undefined => {
    const row = read(line);
    return row && [row];
  };

/** By the head that learns from them: what a line is, and how it is read; undefined for one that is none. */
const kinds: Readonly<
  Partial<
    Record<ModelHead["kind"], { readonly form: string; readonly read: (line: Line) => LabelledRow[] | undefined }>
  >
> = {
  sequence: {
    form: '{"text": "...", "label": ...}, or two texts as "text" and "text_pair" or "sentence1" and "sentence2"',
    read: alone(classifiedRow),
  },
  decoder: {
    form: '{"prompt": "...", "completion": "..."}, the text and what is written after it',
    read: alone(writtenRow),
  },
  token: { form: '{"tokens": ["...", ...], "labels": [...]}, a label for every word', read: alone(labelledTokens) },
  span: {
    form: '{"question": "...", "context": "...", "answer": "...", "start": 17}, or "answers": {"text": ["..."], "answer_start": [17]}',
    read: foundSpans,
  },
};

/** What lines are for a head; undefined where it learns from none of these. */
export const lineForm = ({ kind }: ModelHead): string | undefined => kinds[kind]?.form;

/** The rows of a line. Throws `DATA-LINE`. */
export function readRows(
  fields: Readonly<Record<string, unknown>>,
  tokenizer: TextTokenizer,
  labels: RowLabels,
  how: Pick<Line, "length" | "stride" | "where">,
): LabelledRow[] {
  const { form, read } = kinds[labels.head.kind]!;
  const rows = read({ ...labels, ...how, fields, tokenizer });
  if (rows !== undefined) return rows;
  const expected = `${form}; the model takes ${takenLabels(labels.head, "batch", "length")}`;
  throw lineFault("the line is no example for the head of the model", how.where, expected, fields);
}
