/** Ends of a tie: what the file holds decides, as in transformers. */
import { describe, expect, it } from "vitest";
import { DiagnosticSink } from "../../src/ir/diagnostics.ts";
import { modulesOf } from "../../src/runtime/files/stacks.ts";
import {
  batch,
  begin,
  lossOf,
  memory,
  moved,
  reloaded,
  smallGpt2,
  smallLlama,
  smallWeights,
  type Tensors,
  tiedLlama,
} from "../small-models.ts";

const embedding = "model.embed_tokens.weight";
const head = "lm_head.weight";
const lora = { peft_type: "LORA", r: 2, target_modules: ["embed_tokens"], init_lora_weights: false };

describe("a config that ties what the file holds apart", () => {
  it.each([
    ["llama", tiedLlama, embedding, "F32"],
    ["llama in bf16", tiedLlama, embedding, "BF16"],
    ["gpt2 in f16", smallGpt2, "transformer.wte.weight", "F16"],
  ] as const)("is untied, with a warning: %s", async (_name, config, table, dtype) => {
    const tied = smallWeights(config, 1, dtype);
    const weights = { ...tied, [head]: moved(tied[table]!) };
    const model = await memory(config, weights);
    const wanted = await lossOf(await memory({ ...config, tie_word_embeddings: false }, weights), null);
    expect(await lossOf(model, null)).toBe(wanted);
    expect(await lossOf(await memory(config, tied), null)).not.toBeCloseTo(wanted, 2);
    const session = await begin(model, null, { mode: "infer" });
    expect(session.program.diagnostics).toMatchObject([{ code: "MODEL-TIES", severity: "warning" }]);
    session.dispose();
    await expect(begin(model, null, { strict: true })).rejects.toMatchObject({ code: "MODEL-TIES" });
  });

  it("keeps its loss when it is merged and read again", async () => {
    const tied = smallWeights(tiedLlama);
    const session = await begin(await memory(tiedLlama, { ...tied, [head]: moved(tied[embedding]!) }), lora);
    const { loss } = await session.forward(batch);
    const merged = await reloaded(await session.merge());
    expect(merged.config.tie_word_embeddings).toBe(false);
    expect(await lossOf(merged, null)).toBeCloseTo(loss!, 4);
    session.dispose();
  });
});

describe("a tie that the file", () => {
  const weights = smallWeights(tiedLlama);
  const { [embedding]: table, ...others } = weights;

  it("holds once, under either name, is one tensor", async () => {
    const wanted = await lossOf(await memory(tiedLlama, weights), null);
    expect(await lossOf(await memory(tiedLlama, { ...others, [head]: table! }), null)).toBe(wanted);
  });

  it.each([
    ["the head alone", { ...others, [head]: table! }],
    ["both alike", { ...weights, [head]: table! }],
  ])("holds as %s stays right when adapters are merged and all is trained", async (_name, file) => {
    const model = await memory(tiedLlama, file);
    const session = await begin(model, lora);
    const { loss } = await session.forward(batch);
    const merged = await session.merge();
    expect(await lossOf(await reloaded(merged), null)).toBeCloseTo(loss!, 4);
    session.dispose();
    const full = await begin(model, null, { full: true });
    await full.step(batch, { lr: 0.01 });
    const trained = await full.merge();
    const { loss: after } = await full.forward(batch);
    full.dispose();
    const again = await reloaded(trained);
    expect(again.weights.keys()).toEqual(Object.keys(file));
    expect(again.config.tie_word_embeddings).toBe(true);
    expect(await lossOf(again, null)).toBeCloseTo(after!, 4);
  });

  it("holds twice apart is none where the config says so", async () => {
    const apart = { ...weights, [head]: moved(table!) };
    const session = await begin(await memory(smallLlama, apart), null, { mode: "infer" });
    expect(session.program.diagnostics).toEqual([]);
    session.dispose();
  });
});

const maskedBert = {
  ...{ model_type: "bert", architectures: ["BertForMaskedLM"], vocab_size: 19, hidden_size: 12, num_hidden_layers: 1 },
  ...{ num_attention_heads: 2, intermediate_size: 10, max_position_embeddings: 16 },
};
const maskedDeberta = {
  ...{ ...maskedBert, model_type: "deberta-v2", architectures: ["DebertaV2ForMaskedLM"], relative_attention: true },
  ...{ pos_att_type: ["c2p", "p2c"], position_buckets: 4, tie_word_embeddings: true },
};
const maskedRoberta = { ...maskedBert, model_type: "roberta", architectures: ["RobertaForMaskedLM"] };

/** Weights as files hold them: the bias of a head stands above the layer that shares it. */
function maskedWeights(config: object): { weights: Tensors; decoder: string; bias: string; table: string } {
  const weights = smallWeights(config);
  const own = Object.keys(weights).find((key) => key.endsWith("decoder.bias"))!;
  const bias = own.replace("decoder.", "");
  const { [own]: numbers, ...others } = weights;
  const table = Object.keys(weights).find((key) => key.endsWith("word_embeddings.weight"))!;
  return { weights: { ...others, [bias]: numbers! }, decoder: own.replace(/\.bias$/, ""), bias, table };
}

describe.each([
  ["bert", maskedBert, "query"],
  ["roberta", maskedRoberta, "query"],
  ["deberta", maskedDeberta, "query_proj"],
])("a head of masked tokens of %s", (_name, config, query) => {
  const { weights, decoder, bias, table } = maskedWeights(config);
  const target = { peft_type: "LORA", r: 2, init_lora_weights: false };

  it("has the bias that stands above it where its weight is apart", async () => {
    const weight = { [`${decoder}.weight`]: moved(weights[table]!) };
    const apart = await memory(config, { ...weights, ...weight });
    const own = { [`${decoder}.bias`]: weights[bias]! };
    const untied = { ...config, tie_word_embeddings: false };
    const wanted = await lossOf(await memory(untied, { ...weights, ...weight, ...own }), null);
    expect(await lossOf(apart, null)).toBe(wanted);
  });

  it("has its own bias where the file holds both", async () => {
    const own = { [`${decoder}.bias`]: moved(weights[bias]!) };
    const wanted = await lossOf(await memory(config, { ...weights, [bias]: own[`${decoder}.bias`]! }), null);
    expect(await lossOf(await memory(config, { ...weights, ...own }), null)).toBe(wanted);
  });

  it.each([["word_embeddings"], ["decoder"]])("has a weight and a bias of its own where %s is merged", async (end) => {
    const session = await begin(await memory(config, weights), { ...target, target_modules: [query, end] });
    const { loss } = await session.forward(batch);
    const merged = await reloaded(await session.merge());
    session.dispose();
    const added = merged.weights.keys().filter((key) => !(key in weights));
    expect(added.sort()).toEqual([`${decoder}.bias`, `${decoder}.weight`]);
    expect(await merged.weights.read(`${decoder}.bias`)).toEqual(await merged.weights.read(bias));
    expect(await lossOf(merged, null)).toBeCloseTo(loss!, 4);
  });
});

it("a table that no layer shares parts no ends when it is merged", async () => {
  const { weights } = maskedWeights(maskedDeberta);
  const config = { ...lora, target_modules: ["query_proj"], modules_to_save: ["rel_embeddings"] };
  const session = await begin(await memory(maskedDeberta, weights), config);
  const sink = new DiagnosticSink();
  const merged = await reloaded(await session.merge(sink));
  const { loss } = await session.forward(batch);
  session.dispose();
  expect(sink.diagnostics).toEqual([]);
  expect(merged.config).toEqual(maskedDeberta);
  expect(await lossOf(merged, null)).toBeCloseTo(loss!, 4);
});

describe.each(["t5", "umt5", "mt5"])("%s", (model_type) => {
  const t5 = {
    ...{ model_type, vocab_size: 19, d_model: 12, d_kv: 6, d_ff: 10, num_layers: 1, num_heads: 2 },
    ...{ relative_attention_num_buckets: 8, relative_attention_max_distance: 16 },
  };
  // Files hold the table once.
  const { "lm_head.weight": _head, "decoder.embed_tokens.weight": _table, ...others } = smallWeights(t5);
  const { "encoder.embed_tokens.weight": table, ...rest } = others;
  const weights = { ...rest, "shared.weight": table! };

  it.each([
    {},
    { tie_word_embeddings: true },
    { tie_word_embeddings: false },
    { scale_decoder_outputs: false },
    { scale_decoder_outputs: true, tie_word_embeddings: false },
  ])("scales what its head reads as before when the ends part: %o", async (fields) => {
    const config = { ...t5, ...fields };
    const adapter = { ...lora, target_modules: ["q", "lm_head"] };
    const session = await begin(await memory(config, weights), adapter);
    const { loss } = await session.forward(batch);
    const merged = await reloaded(await session.merge());
    session.dispose();
    expect(merged.config.tie_word_embeddings).toBe(false);
    expect(await lossOf(merged, null)).toBeCloseTo(loss!, 4);
  });
});

it("layers that the files do not have are not looked for when a model is opened", async () => {
  const { weights } = await memory(smallLlama, smallWeights(smallLlama));
  expect(modulesOf({ config: smallLlama, weights })).not.toEqual([]);
  expect(modulesOf({ config: { ...smallLlama, num_hidden_layers: 1000 }, weights })).toEqual([]);
});
