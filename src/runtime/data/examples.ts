/**
 * Training examples from files: `.txt` is cut into windows; `.jsonl` holds one example a line: `{"text"}`, `{"prompt","completion"}` (loss on
 * the completion) or `{"messages"}` (chat template, loss on the assistant's turns); beside it `"task": N` for adapters that route by tasks.
 */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { ignoredLabel } from "../../models/loss.ts";
import type { ChatMessage, TextTokenizer } from "./tokenizer.ts";

/** Token ids with a label each; -100 is not counted. Labels stand at their own token; the model shifts them. */
export interface Example {
  readonly ids: readonly number[];
  readonly labels: readonly number[];
  /** The task that it belongs to, for adapters that route by tasks. */
  readonly task?: number;
}

/** The position in a data file, for messages. */
const at = (file: string, line: number): string => `${file}:${line}`;

/** A whole text in windows of `length` tokens, the last one shorter; windows of one token are dropped. */
export function textExamples(text: string, length: number, tokenizer: TextTokenizer): Example[] {
  const ids = tokenizer.encode(text);
  const examples: Example[] = [];
  for (let start = 0; start + 1 < ids.length; start += length) {
    const window = ids.slice(start, start + length);
    if (window.length > 1) examples.push({ ids: window, labels: window });
  }
  return examples;
}

function withEnd(ids: number[], tokenizer: TextTokenizer): number[] {
  return tokenizer.endToken === undefined ? ids : [...ids, tokenizer.endToken];
}

function completionExample(prompt: string, completion: string, tokenizer: TextTokenizer): Example {
  const first = tokenizer.encode(prompt);
  const rest = withEnd(tokenizer.encode(completion), tokenizer);
  return { ids: [...first, ...rest], labels: [...first.map(() => ignoredLabel), ...rest] };
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
  const ids: number[] = [];
  const labels: number[] = [];
  let done = "";
  const advance = (text: string, counted: boolean): void => {
    if (!text.startsWith(done)) {
      throw new WebpeftError("DATA-CHAT-TEMPLATE", {
        message: "the chat template rewrites earlier turns, so the assistant's tokens cannot be told apart",
        where,
        help: 'use {"prompt","completion"} lines instead',
      });
    }
    const added = tokenizer.encode(text.slice(done.length));
    ids.push(...added);
    labels.push(...added.map((id) => (counted ? id : ignoredLabel)));
    done = text;
  };
  messages.forEach((message, i) => {
    if (message.role !== "assistant") return;
    advance(chat(messages.slice(0, i), true), false);
    advance(chat(messages.slice(0, i + 1), false), true);
  });
  return { ids, labels };
}

function isMessages(value: unknown): value is readonly ChatMessage[] {
  const isMessage = (m: unknown): boolean => {
    const message = m as Partial<ChatMessage> | null;
    return typeof message?.role === "string" && typeof message.content === "string";
  };
  return Array.isArray(value) && value.every(isMessage);
}

function lineExample(record: unknown, tokenizer: TextTokenizer, where: string): Example {
  const fields = record as Record<string, unknown> | null;
  if (typeof fields?.prompt === "string" && typeof fields.completion === "string") {
    return completionExample(fields.prompt, fields.completion, tokenizer);
  }
  if (isMessages(fields?.messages)) return chatExample(fields.messages, tokenizer, where);
  if (typeof fields?.text === "string") {
    const ids = withEnd(tokenizer.encode(fields.text), tokenizer);
    return { ids, labels: ids };
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

/**
 * The examples with their tasks; `task` is that of examples which name none. Throws `DATA-TASK` when some name a task, others do not, and
 * nothing is said for those.
 */
export function withTasks(examples: readonly Example[], task: number | undefined, file: string): readonly Example[] {
  const named = examples.filter((example) => example.task !== undefined).length;
  if (task !== undefined) return examples.map((example) => ({ task, ...example }));
  if (named === 0 || named === examples.length) return examples;
  throw new WebpeftError("DATA-TASK", {
    message: "some examples have a task, and others have none",
    where: file,
    expected: `"task" in all ${examples.length} lines`,
    got: `in ${named}`,
    help: "--task N is for the lines without",
  });
}

/** One example a line, cut at `length` tokens; blank lines are skipped. */
export function jsonLinesExamples(text: string, length: number, tokenizer: TextTokenizer, file: string): Example[] {
  return text.split("\n").flatMap((line, i) => {
    if (line.trim() === "") return [];
    let record: unknown;
    try {
      record = JSON.parse(line);
    } catch (cause) {
      const fields = {
        message: "a line of the data is not valid JSON",
        where: at(file, i + 1),
        got: line.slice(0, 80),
      };
      throw new WebpeftError("DATA-LINE", fields, { cause });
    }
    const example = lineExample(record, tokenizer, at(file, i + 1));
    const task = lineTask(record, at(file, i + 1));
    const cut = { ids: example.ids.slice(0, length), labels: example.labels.slice(0, length) };
    return [task === undefined ? cut : { ...cut, task }];
  });
}

/** How many labels count: the first place of an example predicts nothing. */
export const countedLabels = (example: Example): number =>
  example.labels.slice(1).filter((label) => label !== ignoredLabel).length;

/**
 * Examples that have something to learn. Throws `DATA-EMPTY` when there are none at all and `DATA-LABELS-MASKED` when every label is masked.
 */
export function usableExamples(examples: readonly Example[], file: string): readonly Example[] {
  if (examples.length === 0) {
    throw new WebpeftError("DATA-EMPTY", {
      message: "the data holds no example of two tokens or more",
      where: file,
      help: "check that the file is the one you meant",
    });
  }
  const usable = examples.filter((example) => countedLabels(example) > 0);
  if (usable.length === 0) {
    throw new WebpeftError("DATA-LABELS-MASKED", {
      message: "no label of the data counts, so there is nothing to learn",
      where: file,
      expected: "at least one label that is not -100 behind the first token of an example",
      help: "prompts may fill the whole length: give a larger --length",
    });
  }
  return usable;
}
