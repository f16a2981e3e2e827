/** Lines of a text and what is written after it, for models with an encoder and a decoder. */
import { expect, it } from "vitest";
import { rowStream } from "../../src/runtime/data/labelled-rows.ts";
import { around, byteTokenizer, load } from "./tokenizers.ts";

it("a completion is labels, with what ends a text, padded with labels that do not count", async () => {
  const { files, ids } = byteTokenizer("abc", ["<end>"], {}, { post: around(undefined, "<end>") });
  const head = { kind: "decoder", classes: 4 } as const;
  const plan = { batch: 2, accumulate: 1, length: 4, seed: 0, padToken: 9, shuffle: false, file: "rows.jsonl" };
  const lines = ['{"prompt":"ab","completion":"c"}', '{"prompt":"c","completion":"abcab"}'].join("\n");
  const { step, report } = rowStream(lines, await load(files), { head, names: [] }, plan);
  const { input_ids, attention_mask, labels } = step(0)[0]!;
  const [a, b, c] = [..."abc"].map((letter) => ids.get(letter.charCodeAt(0))!);
  const end = ids.get("<end>");
  expect([...input_ids!]).toEqual([a, b, end, 9, c, end, 9, 9]);
  expect([...attention_mask!]).toEqual([1, 1, 1, 0, 1, 1, 0, 0]);
  expect([...labels!]).toEqual([c, end, -100, -100, a, b, c, end]);
  expect(report).toMatchObject({ cut: [2], keepsAll: 6 });
});
