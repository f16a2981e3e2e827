/** Texts with labels as batches of a classifier of rows. */
import { describe, expect, it } from "vitest";
import type { ModelHead } from "../../src/models/model.ts";
import { rowStream } from "../../src/runtime/data/labelled-rows.ts";
import type { TextTokenizer } from "../../src/runtime/data/tokenizer.ts";

/** A token for each word, its length, between 101 and 102. */
const words = {
  ...{ front: [101], back: [102] },
  encodeWhole: (text: string) => [101, ...text.split(" ").map((word) => word.length), 102],
} as unknown as TextTokenizer;

const classes: ModelHead = { kind: "sequence", classes: 3 };
const flags: ModelHead = { ...classes, labels: "flags" };
const numbers: ModelHead = { kind: "sequence", classes: 2, labels: "numbers" };

const stream = (lines: readonly unknown[], head: ModelHead, more: { batch?: number; length?: number } = {}) =>
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

  it("may have several classes at once, or numbers, and then fill the last batch with rows once more", () => {
    const several = stream([{ text: "a", label: ["neg", 2] }], flags);
    expect(several.step(0)[0]!.labels).toEqual(Float32Array.of(1, 0, 1, 1, 0, 1));
    const two = stream([{ text: "a", label: [0.5, -2] }], numbers);
    expect(two.step(0)[0]!.labels).toEqual(Float32Array.of(0.5, -2, 0.5, -2));
  });

  const refused: readonly (readonly [unknown, ModelHead, RegExp])[] = [
    [{ text: "a" }, classes, /text with a label/],
    [{ prompt: "a", completion: "b" }, classes, /text with a label/],
    [["a", 1], classes, /text with a label/],
    [{ text: "a", label: 3 }, classes, /no class/],
    [{ text: "a", label: "good" }, classes, /no class/],
    [{ text: "a", label: 0.5 }, classes, /no class/],
    [{ text: "a", label: 1 }, flags, /list of classes/],
    [{ text: "a", label: [1] }, numbers, /as many numbers/],
  ];
  it.each(refused)("%o", (line, head, message) => {
    expect(() => stream([line], head)).toThrow(
      expect.objectContaining({ code: "DATA-LINE", message: expect.stringMatching(message) as string }) as Error,
    );
  });

  it("that are none at all are refused", () => {
    expect(() => stream([], classes)).toThrow(expect.objectContaining({ code: "DATA-EMPTY" }) as Error);
  });
});
