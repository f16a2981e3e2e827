/** Texts with labels as batches of a classifier of rows. */
import { describe, expect, it } from "vitest";
import { ignoredNumber } from "../../src/models/loss.ts";
import type { ModelHead } from "../../src/models/model.ts";
import { rowStream } from "../../src/runtime/data/labelled-rows.ts";
import type { TextTokenizer } from "../../src/runtime/data/tokenizer.ts";

const lengths = (text: string): number[] => text.split(" ").map((word) => word.length);

/** A token for each word, its length, between 101 and 102; words of more than four letters have two tokens, if they are given as such. */
const words = {
  ...{ front: [101], back: [102], encode: lengths },
  encodeWhole: (text: string) => [101, ...lengths(text), 102],
  encodeWords: (texts: readonly string[]) => texts.map(({ length }) => (length > 4 ? [4, length - 4] : [length])),
  encodeSpan: (text: string, from: number, to: number) => ({
    ids: lengths(text),
    first: text.slice(0, from + 1).split(" ").length - 1,
    last: text.slice(0, to).split(" ").length - 1,
  }),
  pair: [
    { id: 101, type: 0 },
    { text: 0, type: 0 },
    { id: 102, type: 0 },
    { text: 1, type: 1 },
    { id: 102, type: 1 },
  ],
} as unknown as TextTokenizer;

const classes: ModelHead = { kind: "sequence", classes: 3 };
const flags: ModelHead = { ...classes, labels: "flags" };
const numbers: ModelHead = { kind: "sequence", classes: 2, labels: "numbers" };

const stream = (
  lines: readonly unknown[],
  head: ModelHead,
  more: { batch?: number; length?: number; types?: boolean; stride?: number } = {},
) =>
  rowStream(
    lines.map((line) => JSON.stringify(line)).join("\n"),
    words,
    { head, names: ["neg", "neu", "pos"] },
    { ...{ batch: 2, accumulate: 1, length: 5, seed: 0, padToken: 9, shuffle: false, file: "rows.jsonl" }, ...more },
  );

describe("lines of a text and a label", () => {
  it("are padded on the right, with a mask, and cut between the special tokens", () => {
    const { step, stepsPerEpoch, report } = stream(
      [
        { text: "a bb", label: "pos" },
        { text: "a bb ccc dddd", label: 0 },
        { text: "a", label: 1 },
      ],
      classes,
    );
    expect(stepsPerEpoch).toBe(2);
    const [first] = step(0);
    expect([...first!.input_ids!]).toEqual([101, 1, 2, 102, 9, 101, 1, 2, 3, 102]);
    expect([...first!.attention_mask!]).toEqual([1, 1, 1, 1, 0, 1, 1, 1, 1, 1]);
    expect([...first!.labels!]).toEqual([2, 0]);
    expect(first!.tokens).toBe(9);
    // The last batch has a row that does not count.
    expect([...step(1)[0]!.labels!]).toEqual([1, -100]);
    expect(report).toMatchObject({ cut: [2], dropped: [], keepsAll: 6, examples: 3 });
  });

  it("may have several classes at once, or numbers, and rows that fill the last batch do not count", () => {
    const several = stream([{ text: "a", label: ["neg", 2] }], flags);
    expect(several.step(0)[0]!.labels).toEqual(Float32Array.of(1, 0, 1, ignoredNumber, ignoredNumber, ignoredNumber));
    const two = stream([{ text: "a", label: [0.5, -2] }], numbers);
    expect(two.step(0)[0]!.labels).toEqual(Float32Array.of(0.5, -2, ignoredNumber, ignoredNumber));
  });

  const read: readonly (readonly [number, unknown, readonly number[]])[] = [
    [3, [], [0, 0, 0]],
    [3, [2, 0], [1, 0, 1]],
    [3, [0, 1], [1, 1, 0]],
    [3, [2, 1, 0], [1, 1, 1]],
    [3, ["pos", 1], [0, 1, 1]],
    [3, [1, 0, 1], [1, 0, 1]],
    [3, [0, 0, 0], [0, 0, 0]],
    [3, [0, 1, 0.5], [0, 1, 0.5]],
    [2, [1], [0, 1]],
    [2, [1, 1], [1, 1]],
    [2, ["neu", "neg"], [1, 1]],
    [2, [0.25, 1], [0.25, 1]],
    [1, [1], [1]],
    [1, ["neg"], [1]],
  ];
  it.each(read)("of %i classes of which several hold, %j is %j", (count, label, wanted) => {
    const { step } = stream([{ text: "a", label }], { ...flags, classes: count }, { batch: 1 });
    expect(step(0)[0]!.labels).toEqual(Float32Array.from(wanted));
  });

  it("that can be read in two ways are told with the names to write", () => {
    const expected =
      'names: ["neg","neu"] where these are numbers of classes, ["neu"] where 1 is for a class that holds';
    expect(() => stream([{ text: "a", label: [0, 1] }], { ...flags, classes: 2 })).toThrow(
      expect.objectContaining({ diagnostics: [expect.objectContaining({ expected })] }) as Error,
    );
  });

  const refused: readonly (readonly [unknown, ModelHead, RegExp])[] = [
    [{ text: "a" }, classes, /no example for the head/],
    [{ prompt: "a", completion: "b" }, classes, /no example for the head/],
    [["a", 1], classes, /an array, not an example/],
    [{ text: "a", label: 3 }, classes, /no class/],
    [{ text: "a", label: "good" }, classes, /no class/],
    [{ text: "a", label: 0.5 }, classes, /no class/],
    [{ text: "a", label: 1 }, flags, /list of classes/],
    [{ text: "a", label: [1] }, numbers, /as many numbers/],
    [{ text: "a", label: 1 }, numbers, /no list of numbers/],
    [{ text: "a", label: "1" }, { ...numbers, classes: 1 }, /no number/],
    [{ text: "a", label: [0, 2, 0] }, flags, /twice/],
    [{ text: "a", label: ["neg", 0] }, flags, /twice/],
    [{ text: "a", label: [1, 0, 1, 0] }, flags, /twice/],
    [{ text: "a", label: [0.5, 1] }, flags, /no class/],
    [{ text: "a", label: [0, 1] }, { ...flags, classes: 2 }, /two ways/],
    [{ text: "a", label: [1, 0] }, { ...flags, classes: 2 }, /two ways/],
    [{ text: "a", label: [0] }, { ...flags, classes: 1 }, /two ways/],
  ];
  it.each(refused)("%o", (line, head, message) => {
    expect(() => stream([line], head)).toThrow(
      expect.objectContaining({ code: "DATA-LINE", message: expect.stringMatching(message) as string }) as Error,
    );
  });

  it("pairs have types, and the longer text loses first", () => {
    const lines = [
      { text: "a", text_pair: "bb ccc dddd e", label: 0 },
      { sentence1: "a bb ccc", sentence2: "dddd", label: "pos" },
    ];
    const { step, report } = stream(lines, classes, { length: 7, types: true });
    const { input_ids, token_type_ids, labels, attention_mask } = step(0)[0]!;
    expect([...input_ids!]).toEqual([101, 1, 102, 2, 3, 4, 102, 101, 1, 2, 3, 102, 4, 102]);
    expect([...token_type_ids!]).toEqual([0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1]);
    expect([...attention_mask!]).toEqual(new Array(14).fill(1));
    expect([...labels!]).toEqual([0, 2]);
    expect(report).toMatchObject({ cut: [1], keepsAll: 8 });
    expect(stream(lines, classes, { length: 7 }).step(0)[0]!.token_type_ids).toBeUndefined();
    const short = stream([{ text: "a bb ccc", text_pair: "a bb ccc", label: 0 }], classes, { length: 6 });
    expect([...short.step(0)[0]!.input_ids!].slice(0, 6)).toEqual([101, 1, 102, 1, 2, 102]);
  });

  it("words have labels at their first token", () => {
    const { step, report } = stream(
      [
        { tokens: ["a", "bbbbbb", "cc"], labels: ["neg", 2, -100] },
        { tokens: ["a", "bbbbbb", "cc", "ddd"], labels: [0, 1, 2, 2] },
      ],
      { kind: "token", classes: 3 },
      { length: 6 },
    );
    const { input_ids, labels } = step(0)[0]!;
    expect([...input_ids!]).toEqual([101, 1, 4, 2, 2, 102, 101, 1, 4, 2, 2, 102]);
    expect([...labels!]).toEqual([-100, 0, 2, -100, -100, -100, -100, 0, 1, -100, 2, -100]);
    expect(report).toMatchObject({ cut: [2], keepsAll: 7 });
  });

  const span: ModelHead = { kind: "span", classes: 2 };
  const context = "one 🙂 three four";

  it("answers are places of tokens; one that is cut off is dropped, none is the first token", () => {
    const lines = [
      { question: "which", context, answer: "three four", start: 6 },
      { question: "which", context, answers: { text: ["one"], answer_start: [0] } },
      { question: "which", context, answers: { text: [], answer_start: [] } },
      { question: "which which which which", context, answer: "four" },
    ];
    const { step, report } = stream(lines, span, { length: 8, batch: 4 });
    const { start_positions, end_positions, input_ids } = step(0)[0]!;
    expect([...input_ids!].slice(0, 8)).toEqual([101, 5, 102, 3, 2, 5, 4, 102]);
    // Empty rows have places outside of the text.
    expect([...start_positions!]).toEqual([5, 3, 0, 8]);
    expect([...end_positions!]).toEqual([6, 3, 0, 8]);
    expect(report).toMatchObject({ dropped: [4], cut: [], keepsAll: 11, windows: true });
    expect(() => stream(lines.slice(3), span, { length: 8 })).toThrow(
      expect.objectContaining({ code: "DATA-LABELS-MASKED", help: expect.stringContaining("--length 11") as string }),
    );
  });

  it("contexts in windows have the answer where it is whole, and else the first token", () => {
    // Windows as transformers' tokenizers make them: max_length 8, stride 2, one token of question.
    const letters = "a bb ccc dddd eeeee ffffff ggggggg";
    const lines = [
      { question: "which", context: letters, answer: "ccc dddd" },
      { question: "which", context: letters, answer: "eeeee" },
      { question: "which", context: letters, answer: null },
      { question: "which", context: "a bb", answer: "a" },
      { question: "which", context: letters, answer: "bb ccc dddd eeeee" },
    ];
    const { step, report } = stream(lines, span, { length: 8, batch: 13, stride: 2 });
    const { start_positions, end_positions, input_ids } = step(0)[0]!;
    const windows = [
      [1, 2, 3, 4],
      [3, 4, 5, 6],
      [5, 6, 7],
    ];
    const rows = windows.map((window) => [101, 5, 102, ...window, 102, ...(window.length < 4 ? [9] : [])]);
    expect([...input_ids!].slice(0, 24)).toEqual(rows.flat());
    expect([...start_positions!]).toEqual([5, 3, 0, 0, 5, 3, 0, 0, 0, 3, 0, 0, 0]);
    expect([...end_positions!]).toEqual([6, 4, 0, 0, 5, 3, 0, 0, 0, 3, 0, 0, 0]);
    expect(report).toEqual({ file: "rows.jsonl", examples: 5, length: 8, dropped: [], cut: [] });
    const close = { question: "a b c d", context: letters, answer: "a" };
    expect(() => stream([close], span, { length: 8, stride: 2 })).toThrow(
      expect.objectContaining({ code: "DATA-LINE", message: expect.stringMatching(/no room for windows/) as string }),
    );
  });

  const question = { question: "which", context };
  const refusedOthers: readonly (readonly [unknown, ModelHead, RegExp])[] = [
    [{ text: "a", text_pair: 3, label: 0 }, classes, /no example for the head/],
    [{ sentence1: "a", label: 0 }, classes, /no example for the head/],
    [{ tokens: ["a"], labels: [0, 1] }, { kind: "token", classes: 3 }, /as many labels/],
    [{ tokens: ["a"], labels: ["nobody"] }, { kind: "token", classes: 3 }, /no class/],
    [{ text: "a", label: 0 }, { kind: "token", classes: 3 }, /no example for the head/],
    [{ text: "a", label: 0 }, span, /no example for the head/],
    [question, span, /no answer/],
    [{ ...question, answer: "five" }, span, /does not stand in the context/],
    [{ ...question, context: "a a", answer: "a" }, span, /more than once/],
    [{ ...question, answer: "three", start: 7 }, span, /where the line says/],
    [{ ...question, question: "a b c", answer: "one" }, span, /no room/],
  ];
  it.each(refusedOthers)("%o", (line, head, message) => {
    expect(() => stream([line], head, { length: 6 })).toThrow(
      expect.objectContaining({ code: "DATA-LINE", message: expect.stringMatching(message) as string }) as Error,
    );
  });

  it("that are none at all are refused", () => {
    expect(() => stream([], classes)).toThrow(expect.objectContaining({ code: "DATA-EMPTY" }) as Error);
  });
});
