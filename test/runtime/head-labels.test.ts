/** Labels that do not fit the head of a model are told what it takes. */
import { describe, expect, it } from "vitest";
import type { ModelHead } from "../../src/models/model.ts";
import { headLabels, refuseLabels } from "../../src/runtime/data/head-labels.ts";

const sizes = { batch: 2, length: 4, positions: 4 };
const rows: ModelHead = { kind: "sequence", classes: 3 };
const tokens: ModelHead = { kind: "token", classes: 3 };
const spans: ModelHead = { kind: "span", classes: 2 };
const none: ModelHead = { kind: "none", classes: 8 };
const flags: ModelHead = { ...rows, labels: "flags" };

describe("what does not fit", () => {
  type Given = Parameters<typeof headLabels>[1];
  const wrong: readonly (readonly [ModelHead, Given, string, RegExp])[] = [
    [rows, { labels: [0.5, 1] }, "DATA-TOKEN-RANGE", /a whole number from 0 to 2/],
    [rows, { labels: [3, 1] }, "DATA-TOKEN-RANGE", /0 to 2/],
    [rows, { labels: [0, 1, 1, 0, 1, 0] }, "DATA-BATCH", /labels \[2\]/],
    [flags, { labels: [0, 2] }, "DATA-BATCH", /labels \[2, 3\]: floats/],
    [tokens, { labels: [1, 1] }, "DATA-BATCH", /labels \[2, 4\]: the class of every token/],
    [spans, { labels: [1, 1] }, "DATA-BATCH", /start_positions \[2\] and end_positions/],
    [spans, { start_positions: [1, 1] }, "DATA-BATCH", /end_positions/],
    [spans, { start_positions: [1], end_positions: [2, 2] }, "DATA-BATCH", /start_positions \[2\]/],
    [rows, { start_positions: [1, 1], end_positions: [2, 2] }, "DATA-BATCH", /labels \[2\]/],
    [none, { labels: [1, 1] }, "DATA-BATCH", /no head/],
  ];
  it.each(wrong)("%o with %o", (head, given, code, expected) => {
    const check = (): void => {
      refuseLabels(head, given, sizes.batch, sizes.length);
      headLabels(head, given, sizes);
    };
    expect(check).toThrow(
      expect.objectContaining({
        code,
        diagnostics: [expect.objectContaining({ expected: expect.stringMatching(expected) as string })],
      }) as Error,
    );
  });
});

it("places of spans stand side by side: those behind the text do not count, those before it are its first", () => {
  const given = { start_positions: [-1, 4], end_positions: [3, 9] };
  expect(headLabels(spans, given, sizes)).toEqual(Int32Array.of(0, 3, -100, -100));
});
