/** What of the examples fits into the rows of a batch, and a report of what does not. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { ignoredLabel } from "../../models/loss.ts";
import { cutExample, type Example, type LineExample } from "./examples.ts";

/** What a row of `length` tokens makes of the examples of a file. */
export interface DataReport {
  readonly file: string;
  /** All examples of the file, and tokens of a row. */
  readonly examples: number;
  readonly length: number;
  /** Lines of examples that are longer than a row and lose their end. */
  readonly cut: readonly number[];
  /** Lines of examples of which no label is left to learn. */
  readonly dropped: readonly number[];
  /** The length that keeps every token; absent when nothing is lost to the length. */
  readonly keepsAll?: number;
  /** Lines with a label that the head does not read; absent where there are none. */
  readonly unreadLabels?: readonly number[];
  /** The examples have contexts that could be read in windows, and are not. */
  readonly windows?: boolean;
}

/** How many labels count: the first place of an example predicts nothing. */
const countedLabels = (example: Example): number =>
  example.labels.slice(1).filter((label) => label !== ignoredLabel).length;

/** The examples that have something to learn, cut at `length` tokens, and what became of the others. Throws what `usableExamples` throws. */
export function fitExamples(
  lines: readonly LineExample[],
  length: number,
  file: string,
): { examples: readonly Example[]; report: DataReport } {
  const fitted = lines.map(({ line, example }) => ({
    line,
    tokens: example.ids.length,
    learns: countedLabels(example) > 0,
    example: cutExample(example, length),
  }));
  const lost = fitted.filter(({ tokens, learns }) => learns && tokens > length);
  const keepsAll = lost.length === 0 ? undefined : lost.reduce((most, { tokens }) => Math.max(most, tokens), 0);
  const examples = usableExamples(
    fitted.map(({ example }) => example),
    file,
    keepsAll,
  );
  const usable = new Set(examples);
  const kept = new Set(fitted.flatMap(({ line, example }) => (usable.has(example) ? [line] : [])));
  const unreadLabels = lines.flatMap(({ line, unreadLabel }) => (unreadLabel ? [line] : []));
  const report = {
    file,
    examples: lines.length,
    length,
    cut: lost.flatMap(({ line }) => (kept.has(line) ? [line] : [])),
    dropped: fitted.flatMap(({ line }) => (kept.has(line) ? [] : [line])),
    ...(keepsAll === undefined ? {} : { keepsAll }),
    ...(unreadLabels.length === 0 ? {} : { unreadLabels }),
  };
  return { examples, report };
}

/**
 * Examples that have something to learn. Throws `DATA-EMPTY` when there are none at all and `DATA-LABELS-MASKED` when every label is masked;
 * `keepsAll` is the length that would keep labels.
 */
export function usableExamples(examples: readonly Example[], file: string, keepsAll?: number): readonly Example[] {
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
      got: `${examples.length} example${examples.length === 1 ? "" : "s"} without any`,
      help:
        keepsAll === undefined
          ? "give every prompt a completion, every conversation a turn of the assistant, and every text two tokens"
          : `prompts fill the whole length: --length ${keepsAll} keeps all`,
    });
  }
  return usable;
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
