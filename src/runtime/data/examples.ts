/**
 * Training examples from files: `.txt` is cut into windows; `.jsonl` holds one example a line: `{"text"}`, `{"prompt","completion"}` (loss on
 * the completion) or `{"messages"}` (chat template, loss on the assistant's turns); beside it `"task": N` for adapters that route by tasks.
 * Every text is tokenised as a whole, and what it is made of is found in it afterwards.
 */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { ignoredLabel } from "../../models/loss.ts";
import { jsonPlace } from "../files/json-place.ts";
import { hasLoneSurrogate } from "../files/text.ts";
import type { ChatMessage, TextTokenizer } from "./tokenizer.ts";

/** Token ids with a label each; -100 is not counted. Labels stand at their own token; the model shifts them. */
export interface Example {
  readonly ids: readonly number[];
  readonly labels: readonly number[];
  /** The task that it belongs to, for adapters that route by tasks. */
  readonly task?: number;
}

/** An example as a file has it, whole. */
export interface LineExample {
  readonly line: number;
  readonly example: Example;
  /** A label beside the text, as classifiers learn it: a head that writes tokens does not read it. */
  readonly unreadLabel?: boolean;
}

const begins = (ids: readonly number[], with_: readonly number[]): boolean => with_.every((id, i) => ids[i] === id);
const ends = (ids: readonly number[], with_: readonly number[]): boolean =>
  ids.length >= with_.length && begins(ids.slice(ids.length - with_.length), with_);

/** What the tokenizer puts in front of a text, unless the text itself begins with it. */
export function frontOf(ids: readonly number[], { front }: TextTokenizer): readonly number[] {
  return begins(ids, front) ? [] : front;
}

/** What the tokenizer puts behind a text, and the token that ends it; neither twice. */
function backOf(ids: readonly number[], { back, endToken }: TextTokenizer): readonly number[] {
  const added = ends(ids, back) ? [] : back;
  const last = added.at(-1) ?? ids.at(-1);
  return endToken === undefined || last === endToken ? added : [...added, endToken];
}

/** A whole text in windows of `length` tokens, the last one shorter; windows of one token are dropped. */
export function textExamples(text: string, length: number, tokenizer: TextTokenizer): Example[] {
  const inner = tokenizer.encode(text);
  const ids = [...frontOf(inner, tokenizer), ...inner, ...(ends(inner, tokenizer.back) ? [] : tokenizer.back)];
  const examples: Example[] = [];
  for (let start = 0; start + 1 < ids.length; start += length) {
    const window = ids.slice(start, start + length);
    if (window.length > 1) examples.push({ ids: window, labels: window });
  }
  return examples;
}

/** A text that ends; the tokens that begin in its first `prompt` places are not learned. */
function endedExample(text: string, prompt: number, tokenizer: TextTokenizer): Example {
  const { ids: inner, before } = tokenizer.encodeCut(text, [prompt]);
  const front = frontOf(inner, tokenizer);
  const ids = [...front, ...inner, ...backOf(inner, tokenizer)];
  const learned = prompt === 0 ? 0 : front.length + before[0]!;
  return { ids, labels: ids.map((id, i) => (i < learned ? ignoredLabel : id)) };
}

/** Loss on what the template adds for each assistant turn; every prefix of the conversation must be a prefix of its text. */
function chatExample(messages: readonly ChatMessage[], tokenizer: TextTokenizer, where: string): Example {
  const { chat } = tokenizer;
  if (chat === undefined) {
    throw new WebpeftError("DATA-CHAT-TEMPLATE", {
      message: "the data holds messages and the model has no chat template",
      where,
      expected: "chat_template in tokenizer_config.json, or chat_template.jinja",
      help: 'use {"prompt","completion"} lines instead',
    });
  }
  const text = chat(messages, false, where);
  const cuts = messages.flatMap((message, i) => {
    if (message.role !== "assistant") return [];
    const until = chat(messages.slice(0, i), true, where);
    const through = i + 1 === messages.length ? text : chat(messages.slice(0, i + 1), false, where);
    if (text.startsWith(through) && through.startsWith(until)) return [until.length, through.length];
    throw new WebpeftError("DATA-CHAT-TEMPLATE", {
      message: "the chat template rewrites earlier turns, so the assistant's tokens cannot be told apart",
      where,
      help: 'use {"prompt","completion"} lines instead',
    });
  });
  const { ids, before } = tokenizer.encodeCut(text, cuts);
  const labels: number[] = ids.map(() => ignoredLabel);
  for (let turn = 0; turn < before.length; turn += 2)
    for (let i = before[turn]!; i < before[turn + 1]!; i++) labels[i] = ids[i]!;
  return { ids, labels };
}

function isMessages(value: unknown): value is readonly ChatMessage[] {
  const isMessage = (m: unknown): boolean => {
    const message = m as Partial<ChatMessage> | null;
    return typeof message?.role === "string" && typeof message.content === "string";
  };
  return Array.isArray(value) && value.every(isMessage);
}

/** Throws `FILE-NOT-UTF8` for texts that no encoding has. */
export function requireCharacters(texts: readonly string[], where: string): void {
  const broken = texts.find(hasLoneSurrogate);
  if (broken === undefined) return;
  throw new WebpeftError("FILE-NOT-UTF8", {
    message: "a text of the data holds half of a surrogate pair, which is no character",
    where,
    expected: "characters, which UTF-8 can write",
    got: JSON.stringify(broken.slice(0, 80)),
    help: "Such halves come from texts that were cut inside of a character: cut them elsewhere, or leave the half out.",
  });
}

function lineExample(record: unknown, tokenizer: TextTokenizer, where: string): Example {
  const fields = record as Record<string, unknown> | null;
  if (typeof fields?.prompt === "string" && typeof fields.completion === "string") {
    const { prompt, completion } = fields;
    requireCharacters([prompt + completion], where);
    return endedExample(prompt + completion, prompt.length, tokenizer);
  }
  if (isMessages(fields?.messages)) {
    requireCharacters(
      fields.messages.map(({ content }) => content),
      where,
    );
    return chatExample(fields.messages, tokenizer, where);
  }
  if (typeof fields?.text === "string") {
    requireCharacters([fields.text], where);
    return endedExample(fields.text, 0, tokenizer);
  }
  throw new WebpeftError("DATA-LINE", {
    message: "a line of the data is none of the known kinds",
    where,
    expected: '{"text"}, {"prompt","completion"} or {"messages":[{"role","content"}]}',
    got: JSON.stringify(record).slice(0, 80),
  });
}

/** The task of a line; a number that is none of the adapter's is found when the batch is used. */
function lineTask(record: unknown, where: string): number | undefined {
  const task = (record as Record<string, unknown> | null)?.task;
  if (task === undefined || (Number.isSafeInteger(task) && (task as number) >= 0)) return task as number | undefined;
  throw new WebpeftError("DATA-LINE", {
    message: "the task of a line is no number of a task",
    where,
    expected: '"task": 0, 1, 2 ...',
    got: JSON.stringify(task),
  });
}

/** A line of a `.jsonl` file, which is no array. Throws `DATA-LINE`. */
export function parseLine(line: string, file: string, number: number): unknown {
  const isArray = line.trimStart().startsWith("[");
  const told = {
    expected: "an example, which is an object, in every line",
    got: line.slice(0, 80),
    help: isArray
      ? `write every element of the array as a line of its own: jq -c '.[]' FILE`
      : "write every example as one line: jq -c . FILE joins objects that go over several",
  };
  let record: unknown;
  try {
    record = JSON.parse(line);
  } catch (cause) {
    const where = jsonPlace(file, line, number);
    throw new WebpeftError("DATA-LINE", { message: "a line of the data is not valid JSON", where, ...told }, { cause });
  }
  if (!isArray) return record;
  const message = "a line of the data is an array, not an example";
  throw new WebpeftError("DATA-LINE", { message, where: `${file}:${number}`, ...told });
}

const hasLabel = (record: unknown): boolean =>
  Object.keys(record as object).some((name) => name === "label" || name === "labels");

/** The examples of a `.jsonl` file, whole, with their lines; blank lines are skipped. */
export function lineExamples(text: string, tokenizer: TextTokenizer, file: string): LineExample[] {
  return text.split("\n").flatMap((content, i) => {
    if (content.trim() === "") return [];
    const where = `${file}:${i + 1}`;
    const record = parseLine(content, file, i + 1);
    const example = lineExample(record, tokenizer, where);
    const task = lineTask(record, where);
    const unread = hasLabel(record) ? { unreadLabel: true } : {};
    return [{ line: i + 1, example: task === undefined ? example : { ...example, task }, ...unread }];
  });
}

/** An example of at most `length` tokens. */
export const cutExample = (example: Example, length: number): Example => ({
  ...example,
  ids: example.ids.slice(0, length),
  labels: example.labels.slice(0, length),
});

/** One example a line, cut at `length` tokens; blank lines are skipped. */
export const jsonLinesExamples = (text: string, length: number, tokenizer: TextTokenizer, file: string): Example[] =>
  lineExamples(text, tokenizer, file).map(({ example }) => cutExample(example, length));
