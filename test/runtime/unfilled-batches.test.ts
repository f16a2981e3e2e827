/** Rows that fill the last batch do not count, whatever the labels of rows are: not in the loss, not in the gradient, not in validation. */
import { expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import type { HeadOptions } from "../../src/models/choose-head.ts";
import { rowStream } from "../../src/runtime/data/labelled-rows.ts";
import { dataLabels } from "../../src/runtime/data/labels.ts";
import type { TextTokenizer } from "../../src/runtime/data/tokenizer.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { validationLoss } from "../../src/runtime/training/loop.ts";
import { baseModel } from "../golden/helpers.ts";

const letters = {
  ...{ front: [1], back: [2] },
  encodeWhole: (text: string) => [1, ...[...text].map((letter) => letter.charCodeAt(0) % 40), 2],
} as unknown as TextTokenizer;

const lora = { peft_type: "LORA", task_type: "SEQ_CLS", r: 2, target_modules: ["query"] };
const texts = ["abc", "bd", "cafe"];
const squared = (logit: number, number: number): number => (logit - number) ** 2;
const surprise = (logit: number, flag: number): number => Math.log(1 + Math.exp(logit)) - logit * flag;

type Loss = (logit: number, label: number) => number;
const heads: readonly (readonly [string, HeadOptions, readonly unknown[], readonly number[], Loss])[] = [
  // -100 is a number like others.
  ["one number", { labels: 1, problem: "regression" }, [1.5, -100, 0.25], [1.5, -100, 0.25], squared],
  [
    "numbers",
    { labels: 2, problem: "regression" },
    [
      [1, 0],
      [-2, 1],
      [0.5, 2],
    ],
    [1, 0, -2, 1, 0.5, 2],
    squared,
  ],
  [
    "classes of which several hold",
    { labels: 3, problem: "multi_label_classification" },
    [[0, 2], [], [1]],
    [1, 0, 1, 0, 0, 0, 0, 1, 0],
    surprise,
  ],
];

it.each(heads)("%s", async (_name, head, given, labels, lossOf) => {
  const model = await baseModel("bert-headless");
  const text = texts.map((row, i) => JSON.stringify({ text: row, label: given[i] })).join("\n");
  const run = async (batch: number, accumulate: number) => {
    const program = await compile(model, lora, { batch, length: 8, accumulate: true, mask: true, head });
    const plan = { batch, accumulate, length: 8, seed: 0, padToken: 0, shuffle: false, file: "rows.jsonl" };
    const stream = rowStream(text, letters, { head: program.model.defaults.head, names: [] }, plan);
    const session = await program.start({ device: wasmExecutor() });
    const { logits } = await session.forward(stream.step(0)[0]!);
    const validation = await validationLoss(session, stream);
    const { loss, gradNorm, labels: counted } = await session.step(stream.step(0), { lr: 0 });
    session.dispose();
    return { logits, validation, loss, gradNorm, counted, told: dataLabels(program, stream).trained };
  };
  const full = await run(3, 1);
  const mean = labels.reduce((sum, label, i) => sum + lossOf(full.logits[i]!, label), 0) / labels.length;
  for (const [batch, accumulate] of [
    [3, 1],
    [8, 1],
    [2, 2],
    [1, 4],
  ] as const) {
    const { loss, gradNorm, validation, counted, told } = await run(batch, accumulate);
    expect(loss / mean).toBeCloseTo(1, 5);
    expect(validation / mean).toBeCloseTo(1, 5);
    expect(gradNorm / full.gradNorm).toBeCloseTo(1, 4);
    expect([counted, told]).toEqual([labels.length, labels.length]);
  }
  // Two steps of an epoch: the second has one row.
  expect((await run(2, 1)).validation / mean).toBeCloseTo(1, 5);
});
