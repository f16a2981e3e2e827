/** Heads that a base model does not have: which one, how it is drawn, where it is saved, and what a merged model holds. */
import { describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import type { HeadOptions } from "../../src/models/choose-head.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { readAdapter } from "../../src/runtime/files/adapter.ts";
import { withHead } from "../../src/runtime/files/fresh-head.ts";
import { toFloat32 } from "../../src/runtime/files/tensor.ts";
import { baseModel } from "../golden/helpers.ts";

const lora = (task_type: string | null, more: Record<string, unknown> = {}) => ({
  ...{
    peft_type: "LORA",
    task_type,
    r: 2,
    target_modules: ["query", "value", "q_proj", "q_lin", "c_attn", "Wqkv", "q"],
    ...more,
  },
});

const headed = async (base: string, task: string | null, asked: HeadOptions) =>
  withHead(await baseModel(base), asked, { config: lora(task) });

const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
  ["bert-headless", "SEQ_CLS", "BertForSequenceClassification", ["classifier"]],
  ["bert-masked", "SEQ_CLS", "BertForSequenceClassification", ["bert.pooler.dense", "classifier"]],
  ["bert-masked", "TOKEN_CLS", "BertForTokenClassification", ["classifier"]],
  ["bert-masked", "QUESTION_ANS", "BertForQuestionAnswering", ["qa_outputs"]],
  ["roberta-masked", "SEQ_CLS", "RobertaForSequenceClassification", ["classifier.dense", "classifier.out_proj"]],
  ["distilbert-masked", "SEQ_CLS", "DistilBertForSequenceClassification", ["pre_classifier", "classifier"]],
  ["modernbert-masked", "SEQ_CLS", "ModernBertForSequenceClassification", ["classifier"]],
  ["gpt2", "TOKEN_CLS", "GPT2ForTokenClassification", ["classifier"]],
  ["llama", "SEQ_CLS", "LlamaForSequenceClassification", ["score"]],
  ["qwen3", "QUESTION_ANS", "Qwen3ForQuestionAnswering", ["qa_outputs"]],
  ["t5", "SEQ_CLS", "T5ForSequenceClassification", ["classification_head.dense", "classification_head.out_proj"]],
  ["mt5", "TOKEN_CLS", "MT5ForTokenClassification", ["classifier"]],
  ["umt5", "QUESTION_ANS", "UMT5ForQuestionAnswering", ["qa_outputs"]],
  ["t5-encoder", "TOKEN_CLS", "T5ForTokenClassification", ["classifier"]],
  ["t5-span", "SEQ_CLS", "T5ForSequenceClassification", ["classification_head.dense", "classification_head.out_proj"]],
];

describe("a head for the task of the config", () => {
  it.each(cases)("%s for %s is a %s that draws %o", async (base, task, name, drawn) => {
    const model = await headed(base, task, task === "QUESTION_ANS" ? {} : { labels: 3 });
    expect(model.config.architectures).toEqual([name]);
    expect(model.drawn).toEqual(drawn);
    // Nothing of the old head is left, and everything that the new one reads is there.
    const keys = model.weights
      .keys()
      .filter((key) => /^(cls|lm_head|vocab_|decoder\.(weight|bias)|embed_out)/.test(key));
    expect(keys).toEqual([]);
    const program = await compile(model, lora(task), { batch: 1, length: 4 });
    const trained = program.adapter!.tensors.flatMap(({ copyOf }) => (copyOf === undefined ? [] : [copyOf]));
    const tensors = drawn.flatMap((path) => model.weights.keys().filter((key) => key.startsWith(`${path}.`)));
    expect(trained.sort()).toEqual(tensors.sort());
  });

  it("is normal with the deviation of the config, zeros for biases, and the same for the same seed", async () => {
    const read = async (seed: number, key: string) =>
      toFloat32(await (await headed("bert-masked", "SEQ_CLS", { labels: 3, seed })).weights.read(key));
    const weight = await read(1, "bert.pooler.dense.weight");
    const square = weight.reduce((sum, x) => sum + x * x, 0) / weight.length;
    expect(Math.sqrt(square) / 0.02).toBeCloseTo(1, 1);
    expect(Math.abs(weight.reduce((sum, x) => sum + x, 0) / weight.length)).toBeLessThan(2e-3);
    expect([...(await read(1, "classifier.bias"))]).toEqual([0, 0, 0]);
    expect(await read(1, "bert.pooler.dense.weight")).toEqual(weight);
    expect(await read(2, "bert.pooler.dense.weight")).not.toEqual(weight);
  });

  it("has the names of its labels in the config", async () => {
    const { config } = await headed("bert-headless", "SEQ_CLS", { labels: ["neg", "pos"] });
    expect(config).toMatchObject({ id2label: { 0: "neg", 1: "pos" }, label2id: { neg: 0, pos: 1 } });
    const { config: numbered } = await headed("bert-headless", "SEQ_CLS", { labels: 1, problem: "regression" });
    expect(numbered).toMatchObject({ id2label: { 0: "LABEL_0" }, problem_type: "regression" });
  });

  const keptHeads: readonly (readonly [HeadOptions, Record<string, unknown> | undefined])[] = [
    [
      { labels: ["a", "b", "c"], problem: "multi_label_classification" },
      { id2label: { 0: "a", 1: "b", 2: "c" }, problem_type: "multi_label_classification" },
    ],
    [{ labels: 2, problem: "regression" }, { problem_type: "regression" }],
    [{ labels: ["no", "yes"] }, { id2label: { 0: "no", 1: "yes" } }],
    [{ labels: 3 }, undefined],
  ];

  it.each(keptHeads)("is found again as it was asked for: %o", async (head, told) => {
    const model = await baseModel("bert-headless");
    const options = { batch: 1, length: 4 };
    const session = await (await compile(model, lora("SEQ_CLS"), { ...options, head })).start({
      device: wasmExecutor(),
    });
    const files = Object.fromEntries(await session.files());
    session.dispose();
    const text = files["head.json"];
    expect(text && JSON.parse(new TextDecoder().decode(text))).toEqual(told);
    const adapter = await readAdapter(files);
    const again = await compile(model, adapter, options);
    expect(again.modelConfig).toMatchObject(told ?? { id2label: { 2: "LABEL_2" } });
    // What is asked for goes before; a number of labels keeps their names.
    const count = Array.isArray(head.labels) ? head.labels.length : (head.labels as number);
    const names = Array.from({ length: count }, (_unused, i) => `other ${i}`);
    const other = await compile(model, adapter, { ...options, head: { labels: names, problem: "regression" } });
    expect(other.modelConfig).toMatchObject({ id2label: { 0: "other 0" }, problem_type: "regression" });
    expect((await compile(model, adapter, { ...options, head: { labels: count } })).modelConfig).toEqual(
      again.modelConfig,
    );
    await expect(compile(model, adapter, { ...options, head: { labels: 5 } })).rejects.toMatchObject({
      code: "CONFIG-HEAD",
      diagnostics: [{ expected: `${count} labels`, got: "5" }],
    });
  });

  it("leaves a model that has the head as it is", async () => {
    const model = await baseModel("bert-cls");
    expect(withHead(model, {}, { config: lora("SEQ_CLS") })).toBe(model);
  });

  it("is trained, and merged into a model that has it", async () => {
    const model = await baseModel("bert-masked");
    const program = await compile(model, lora("SEQ_CLS"), {
      batch: 2,
      length: 4,
      head: { labels: ["a", "b"], seed: 3 },
    });
    expect(program.adapter!.savedConfig.modules_to_save).toEqual(["bert.pooler.dense", "classifier", "score"]);
    const session = await program.start({ device: wasmExecutor() });
    const batch = { input_ids: [5, 6, 7, 8, 9, 8, 7, 6], labels: [0, 1] };
    await session.step(batch, { lr: 1e-2 });
    const { logits } = await session.forward(batch);
    const merged = await session.merge();
    expect(merged.config.architectures).toEqual(["BertForSequenceClassification"]);
    const plain = await (await compile(merged, null, { mode: "infer", batch: 2, length: 4 })).start({
      device: wasmExecutor(),
    });
    const other = (await plain.forward(batch)).logits;
    expect(Math.max(...logits.map((x, i) => Math.abs(x - other[i]!)))).toBeLessThan(1e-6);
    for (const one of [session, plain]) one.dispose();
  });
});

describe("what is not clear is refused", () => {
  const refused: readonly (readonly [string, string | null, HeadOptions, string, RegExp])[] = [
    ["bert-headless", "SEQ_CLS", {}, "CONFIG-HEAD", /how many labels/],
    ["llama", "TOKEN_CLS", {}, "CONFIG-HEAD", /how many labels/],
    ["bert-headless", null, { labels: 3 }, "CONFIG-HEAD", /rows, or tokens/],
    ["llama", "CAUSAL_LM", { labels: 3 }, "CONFIG-HEAD", /rows, or tokens/],
    ["gemma", "QUESTION_ANS", { task: "QUESTION_ANS" }, "CONFIG-HEAD", /not built for the family/],
    ["bert-headless", "SEQ_CLS", { labels: 0 }, "COMPILE-OPTION", /labels/],
    ["bert-headless", "SEQ_CLS", { labels: ["a", "a"] }, "COMPILE-OPTION", /labels/],
    ["bert-headless", "SEQ_CLS", { labels: 1e9 }, "COMPILE-OPTION", /labels/],
    ["t5", null, { labels: 3 }, "CONFIG-HEAD", /rows, or tokens/],
  ];

  it.each(refused)("%s for %s with %o: %s", async (base, task, asked, code, message) => {
    await expect(headed(base, task, asked)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
  });

  const odd: readonly (readonly [HeadOptions, RegExp])[] = [
    [{ labels: ["neg", "", "pos"] }, /label 1 is empty/],
    [{ labels: ["a", "b", "a"] }, /a is repeated/],
    [{ labels: 2 ** 20 + 1 }, /up to 1048576/],
  ];

  it.each(odd)("%o are told what is wrong with them", async (asked, expected) => {
    await expect(headed("bert-headless", "SEQ_CLS", asked)).rejects.toMatchObject({
      diagnostics: [{ expected: expect.stringMatching(expected) as string }],
    });
  });

  it("a model without a head has nothing to learn from", async () => {
    const program = await compile(await baseModel("bert-headless"), lora("FEATURE_EXTRACTION"), {
      batch: 1,
      length: 2,
    });
    const session = await program.start({ device: wasmExecutor() });
    await expect(session.forward({ input_ids: [5, 6], labels: [1, 2] })).rejects.toMatchObject({ code: "DATA-BATCH" });
    await expect(session.step({ input_ids: [5, 6], labels: [1, 2] })).rejects.toMatchObject({ code: "SESSION-MODE" });
    expect((await session.forward({ input_ids: [5, 6] })).hidden!.length).toBe(2 * 32);
    session.dispose();
  });
});
