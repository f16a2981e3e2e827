/** The golden base models: modules, logits and losses of transformers. */
import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DiagnosticSink } from "../../src/ir/diagnostics.ts";
import { headKind } from "../../src/models/head.ts";
import { buildModel, countLabels, describeModel, familyHeads, type ModelConfig } from "../../src/models/index.ts";
import { readJson, readTensors, relativeError, runModel } from "./helpers.ts";
import { options } from "./small.ts";

const names = readdirSync(new URL("../fixtures/golden/bases", import.meta.url));
const namedModules = readJson("modules.json") as Record<string, string[]>;

function load(name: string) {
  const config = readJson(`bases/${name}/config.json`);
  const data: Record<string, ArrayLike<number>> = {
    ...readTensors(`bases/${name}/model.safetensors`),
    ...readTensors(`base-outputs/${name}/inputs.safetensors`),
  };
  const { inputs, defaults, modules } = describeModel(config, new DiagnosticSink(), (key) => data[key] !== undefined);
  for (const { parameters = {} } of modules)
    for (const { key, parts = [] } of Object.values(parameters))
      if (data[key] === undefined) data[key] = parts.flatMap((part) => Array.from(data[part]!));
  // A layer whose rows stand in another's.
  for (const { weight, bias, slice } of modules)
    for (const [name, key] of slice === undefined ? [] : Object.entries({ weight, bias })) {
      const rows = Array.from(data[`${slice!.path}.${name}`]!);
      const size = rows.length / slice!.of;
      data[key!] = rows.slice(slice!.index * size, (slice!.index + 1) * size);
    }
  // Places outside of the text do not count.
  const ends = ["start_positions", "end_positions"].map((name) => Array.from(data[name] ?? []));
  const isInside = (place: number): boolean => place < data.input_ids!.length / 2;
  if (data.start_positions !== undefined)
    data.labels = ends[0]!.flatMap((start, row) => [start, ends[1]![row]!].map((at) => (isInside(at) ? at : -100)));
  for (const { name: input, fill } of inputs)
    if (fill !== undefined) data[input] ??= new Int32Array(data.input_ids!.length).fill(fill);
  const length = (data.input_ids?.length ?? 2) / 2;
  const scale = data.labels === undefined ? 0 : 1 / countLabels(data.labels, length, defaults.head);
  return { config, data, length, scale };
}

const run = ({ data, length, scale }: ReturnType<typeof load>, config: ModelConfig) =>
  runModel(buildModel(config, options({ length, stored: (key) => data[key] !== undefined, labels: scale > 0 })).graph, {
    ...data,
    ...{ label_scale: [scale], loss_share: [1] },
  });

declare module "vitest" {
  interface TaskMeta {
    /** What `scripts/support-table.mjs` makes its table of families from. */
    family?: {
      readonly model: string;
      readonly head: string;
      /** The heads that the family has, with and without a golden base. */
      readonly built: readonly string[];
      passed: boolean;
    };
  }
}

describe.each(names)("%s", (name) => {
  const base = load(name);
  const expected = readTensors(`base-outputs/${name}/expected.safetensors`);

  it("has the logits and the loss of transformers, or its hidden states", ({ task }) => {
    const heads = familyHeads(base.config);
    const head = headKind(base.config, heads);
    const family = { model: String(base.config.model_type), head, built: Object.keys(heads), passed: false };
    task.meta.family = family;
    const results = run(base, base.config);
    const names = { logits: "logits", loss: "loss", hidden: "last_hidden_state", pooler_output: "pooler_output" };
    const wanted = Object.entries(names).filter(([, name]) => expected[name] !== undefined);
    expect(wanted.length).toBe(
      expected.pooler_output === undefined && expected.last_hidden_state !== undefined ? 1 : 2,
    );
    for (const [name, known] of wanted)
      expect(relativeError(results[name]!.data, expected[known]!), name).toBeLessThan(2e-6);
    family.passed = true;
  });

  it("has the modules of transformers, in its order", () => {
    expect(describeModel(base.config).modules.map(({ path }) => path)).toEqual(namedModules[name]);
  });
});

const ministral3 = readJson("bases/ministral3/config.json").rope_parameters as ModelConfig;
const yarn = readJson("bases/llama-yarn/config.json").rope_parameters as ModelConfig;

describe("every field of a config that is honoured changes the numbers", () => {
  const changes: readonly (readonly [string, ModelConfig])[] = [
    ["gpt2", { activation_function: "relu" }],
    ["gpt2", { layer_norm_epsilon: 0.1 }],
    ["gpt2", { n_head: 2 }],
    ["gpt2", { scale_attn_weights: false }],
    ["gpt2", { scale_attn_by_inverse_layer_idx: true }],
    ["bert-cls", { hidden_act: "gelu_new" }],
    ["bert-cls", { layer_norm_eps: 0.1 }],
    ["bert-cls", { num_attention_heads: 2 }],
    ["roberta-cls", { pad_token_id: 9 }],
    ["roberta-cls", { hidden_act: "relu" }],
    ["t5", { feed_forward_proj: "silu", dense_act_fn: undefined }],
    ["t5", { layer_norm_epsilon: 0.1 }],
    ["t5", { relative_attention_max_distance: 5 }],
    ["t5", { decoder_start_token_id: 7 }],
    ["t5", { pad_token_id: 7 }],
    ["t5", { scale_decoder_outputs: false }],
    ["t5", { dense_act_fn: "silu" }],
    ["t5-cls", { eos_token_id: 5 }],
    ["t5-cls", { decoder_start_token_id: 7 }],
    ["modernbert", { sliding_window: 1 }],
    ["phi", { hidden_act: "relu" }],
    ["phi", { layer_norm_eps: 0.1 }],
    ["phi", { rope_parameters: { rope_type: "default", rope_theta: 100, partial_rotary_factor: 0.5 } }],
    ["phi", { rope_parameters: { rope_type: "default", rope_theta: 10000, partial_rotary_factor: 1 } }],
    ["phi", { qk_layernorm: false }],
    ["phi", { tie_word_embeddings: true }],
    ["qwen3", { rms_norm_eps: 0.1 }],
    ["qwen3", { use_sliding_window: true, sliding_window: 3, max_window_layers: 1, layer_types: null }],
    ["qwen3", { rope_parameters: { rope_type: "default", rope_theta: 100 } }],
    ["gemma", { hidden_act: "silu" }],
    ["gemma", { rms_norm_eps: 0.1 }],
    ["gemma2", { attn_logit_softcapping: null }],
    ["gemma2", { final_logit_softcapping: null }],
    ["gemma2", { query_pre_attn_scalar: 5 }],
    ["gemma2", { sliding_window: 3 }],
    ["gemma2", { layer_types: ["full_attention", "sliding_attention"] }],
    ["gemma3", { final_logit_softcapping: 1 }],
    ["gemma3", { layer_types: ["full_attention", "full_attention", "sliding_attention"] }],
    ["gemma3", { rope_parameters: {}, rope_local_base_freq: 50, rope_theta: 10000 }],
    ["gemma3", { rope_parameters: {}, rope_scaling: { type: "linear", factor: 8 } }],
    ["phi3", { sliding_window: null }],
    ["phi3", { rope_parameters: { rope_theta: 1000, partial_rotary_factor: 0.5 } }],
    ["phi3-longrope", { original_max_position_embeddings: 64 }],
    ["phi3-longrope", { max_position_embeddings: 128 }],
    ["smollm3", { no_rope_layers: [1, 1, 1] }],
    ["smollm3", { no_rope_layers: null, no_rope_layer_interval: 3 }],
    ["smollm3", { use_sliding_window: true, sliding_window: 3, layer_types: null }],
    ["granite", { embedding_multiplier: 1 }],
    ["granite", { attention_multiplier: 1 }],
    ["granite", { residual_multiplier: 1 }],
    ["granite", { logits_scaling: 1 }],
    ["ministral", { sliding_window: 2 }],
    ["ministral", { layer_types: ["full_attention", "full_attention"] }],
    ["olmo2", { rms_norm_eps: 0.1 }],
    ["olmo3", { sliding_window: 2 }],
    ["olmo3", { rope_parameters: {}, rope_scaling: { rope_type: "linear", factor: 4 } }],
    ["stablelm", { use_parallel_residual: true }],
    ["stablelm", { partial_rotary_factor: 0.25, rope_parameters: { rope_theta: 100 } }],
    ["starcoder2", { sliding_window: null }],
    ["starcoder2", { hidden_act: "relu" }],
    ["cohere", { logit_scale: 1 }],
    ["cohere", { layer_norm_eps: 0.1 }],
    ["cohere2", { sliding_window: null }],
    ["cohere2", { sliding_window: 2 }],
    ["gpt-neox", { use_parallel_residual: false }],
    ["gpt-neox", { rope_parameters: null, rotary_pct: 0.5, rotary_emb_base: 50 }],
    ["gpt-neox", { rope_parameters: null, rotary_pct: 1, rotary_emb_base: 1000 }],
    ["falcon", { activation: "relu" }],
    ["falcon", { alibi: true }],
    ["falcon-alibi", { alibi: false }],
    ["bloom", { layer_norm_epsilon: 0.1 }],
    ["bloom", { n_head: 2 }],
    ["olmo", { clip_qkv: null }],
    ["olmoe", { clip_qkv: 0.1 }],
    ["opt", { layer_norm_elementwise_affine: false }],
    ["arcee", { hidden_act: "relu" }],
    ["seed-oss", { rms_norm_eps: 0.1 }],
    ["helium", { rope_parameters: { rope_theta: 100 } }],
    ["ernie4-5", { rope_parameters: { rope_theta: 100 } }],
    ["cwm", { sliding_window: 2 }],
    ["cwm", { layer_types: ["full_attention", "full_attention"] }],
    ["hunyuan", { rope_parameters: { rope_type: "dynamic", rope_theta: 1000, alpha: 2, factor: 1 } }],
    ["nemotron", { norm_eps: 0.1 }],
    ["nemotron", { rope_parameters: { rope_theta: 1000, partial_rotary_factor: 1 } }],
    ["ministral3", { rope_parameters: { ...ministral3, llama_4_scaling_beta: 0.1 } }],
    ["gpt-bigcode", { activation_function: "relu" }],
    ["gpt-bigcode", { scale_attn_weights: false }],
    ["umt5", { scale_decoder_outputs: false }],
    ["umt5", { relative_attention_max_distance: 5 }],
    ["mpnet", { layer_norm_eps: 0.1 }],
    ["opt", { activation_function: "gelu" }],
    ["opt", { _remove_final_layer_norm: true }],
    ["llama-yarn", { rope_parameters: { ...yarn, factor: 8 } }],
    ["llama-yarn", { rope_parameters: { ...yarn, beta_fast: 32 } }],
    ["llama-yarn", { rope_parameters: { ...yarn, attention_factor: 2 } }],
    ["llama-yarn", { rope_parameters: { ...yarn, truncate: false } }],
    ["llama-yarn", { rope_parameters: { ...yarn, mscale: 1, mscale_all_dim: 0.5 } }],
    ["glm", { rope_parameters: { rope_theta: 10000, partial_rotary_factor: 1 } }],
    ["glm4", { rms_norm_eps: 0.1 }],
    ["exaone4", { sliding_window: 2 }],
    ["exaone4", { layer_types: null, sliding_window_pattern: 1 }],
    ["mixtral", { num_experts_per_tok: 1 }],
    ["mixtral", { sliding_window: 3 }],
    ["mixtral", { hidden_act: "gelu" }],
    ["qwen3-moe", { norm_topk_prob: true }],
    ["qwen3-moe", { use_sliding_window: true, sliding_window: 3 }],
    ["qwen2-moe", { norm_topk_prob: false }],
    ["qwen2-moe", { layer_types: null, max_window_layers: 0 }],
    ["deberta", { pos_att_type: ["c2p"] }],
    ["deberta", { norm_rel_ebd: "none" }],
    ["deberta", { relative_attention: false }],
    ["vit-cls", { hidden_act: "gelu_new" }],
    ["vit-cls", { layer_norm_eps: 0.1 }],
    ["vit-cls", { num_attention_heads: 2 }],
  ];

  it.each(changes)("%s: %o", (name, change) => {
    const base = load(name);
    const before = run(base, base.config).logits!.data;
    expect(relativeError(run(base, { ...base.config, ...change }).logits!.data, before)).toBeGreaterThan(1e-4);
  });
});

describe("classifiers of tokens", () => {
  it.each(["bert", "roberta"])("%s has no pooler, and the numbers of transformers", (family) => {
    const base = load(`${family}-cls`);
    const architectures = [`${family === "bert" ? "Bert" : "Roberta"}ForTokenClassification`];
    const config = { ...base.config, architectures };
    expect(describeModel(config).modules.map(({ path }) => path)).toEqual(namedModules[`${family}-token`]);
    const inputs = readTensors(`base-outputs/${family}-token/inputs.safetensors`);
    // RoBERTa's head of rows ends in a layer of the same shape, which was taken for the head of tokens.
    const out = family === "bert" ? "classifier" : "classifier.out_proj";
    const head = { "classifier.weight": base.data[`${out}.weight`]!, "classifier.bias": base.data[`${out}.bias`]! };
    const scale = 1 / countLabels(inputs.labels!, 8, { kind: "token" });
    const { logits, loss } = run({ ...base, data: { ...base.data, ...inputs, ...head }, scale }, config);
    const expected = readTensors(`base-outputs/${family}-token/expected.safetensors`);
    expect(logits!.shape).toEqual([2, 8, 3]);
    expect(relativeError(logits!.data, expected.logits!)).toBeLessThan(2e-6);
    expect(relativeError(loss!.data, expected.loss!)).toBeLessThan(2e-6);
  });
});

const longrope = { rope_type: "longrope", rope_theta: 1000, short_factor: [1, 1, 1], long_factor: [1, 2, 3] };

describe("what is not built is refused", () => {
  const refused: readonly (readonly [string, ModelConfig, string])[] = [
    ["gpt2", { architectures: ["GPT2DoubleHeadsModel"] }, "MODEL-ARCHITECTURE"],
    ["gemma", { architectures: ["GemmaForQuestionAnswering"] }, "MODEL-ARCHITECTURE"],
    ["qwen2-moe", { sliding_window: 0 }, "MODEL-FIELD"],
    ["gpt2", { add_cross_attention: true }, "MODEL-FEATURE"],
    ["gpt2", { activation_function: "mish" }, "MODEL-ACTIVATION"],
    ["gpt2", { n_head: 5 }, "MODEL-HEADS"],
    ["gpt2", { n_positions: 7 }, "MODEL-LENGTH"],
    ["gpt2", { n_layer: 0 }, "MODEL-FIELD"],
    ["gpt2", { n_layer: 1e6 }, "MODEL-LAYERS"],
    ["t5", { num_decoder_layers: 1e10 }, "MODEL-LAYERS"],
    ["gpt2", { quantization_config: {} }, "MODEL-QUANTIZED"],
    ["bert-cls", { architectures: ["BertForPreTraining"] }, "MODEL-ARCHITECTURE"],
    ["bert-cls", { position_embedding_type: "relative_key" }, "MODEL-FEATURE"],
    ["bert-cls", { is_decoder: true }, "MODEL-FEATURE"],
    ["bert-cls", { problem_type: "ranking" }, "MODEL-PROBLEM-TYPE"],
    ["bert-cls", { problem_type: "toString" }, "MODEL-PROBLEM-TYPE"],
    ["bert-cls", { id2label: { 0: "one" }, problem_type: "single_label_classification" }, "MODEL-PROBLEM-TYPE"],
    ["llama-seq", { pad_token_id: null }, "MODEL-FEATURE"],
    ["bert-cls", { max_position_embeddings: 7 }, "MODEL-LENGTH"],
    ["roberta-cls", { max_position_embeddings: 9 }, "MODEL-LENGTH"],
    ["t5", { architectures: ["T5Model"] }, "MODEL-ARCHITECTURE"],
    ["t5-cls", { eos_token_id: [1, 2] }, "MODEL-FEATURE"],
    ["t5-cls", { eos_token_id: null }, "MODEL-FEATURE"],
    ["t5", { feed_forward_proj: "gated-mish", dense_act_fn: undefined }, "MODEL-ACTIVATION"],
    ["t5", { relative_attention_num_buckets: 6 }, "MODEL-SHAPE"],
    ["phi", { num_key_value_heads: 3 }, "MODEL-HEADS"],
    ["phi", { rope_parameters: { partial_rotary_factor: 2 } }, "MODEL-ROPE"],
    ["phi", { rope_parameters: { partial_rotary_factor: 0.4 } }, "MODEL-SHAPE"],
    ["gemma", { use_bidirectional_attention: true }, "MODEL-FEATURE"],
    ["gemma3", { rope_parameters: { rope_type: "default" } }, "MODEL-ROPE"],
    ["gemma3", { layer_types: ["full_attention", "chunked_attention", "full_attention"] }, "MODEL-FIELD"],
    ["gemma3", { rope_scaling: { rope_type: "proportional" } }, "MODEL-ROPE"],
    ["phi3-longrope", { partial_rotary_factor: 1, rope_parameters: longrope }, "MODEL-ROPE"],
    ["smollm3", { no_rope_layers: ["1"] }, "MODEL-FIELD"],
    ["granite", { logits_scaling: 0 }, "MODEL-FIELD"],
    ["cohere", { rope_parameters: { rope_theta: 100, partial_rotary_factor: 0.5 } }, "MODEL-ROPE"],
    ["deberta", { conv_kernel_size: 3 }, "MODEL-FEATURE"],
    ["deberta", { pos_att_type: ["p2p"] }, "MODEL-FEATURE"],
    ["deberta-masked", { legacy: false }, "MODEL-FEATURE"],
    ["mixtral", { num_experts_per_tok: 9 }, "MODEL-FIELD"],
    ["mixtral", { num_local_experts: 1e10 }, "MODEL-FIELD"],
    ["qwen3-moe", { num_local_experts: undefined, num_experts: 1e6 }, "MODEL-FIELD"],
    ["exaone4", { layer_types: null, sliding_window_pattern: "LLLG" }, "MODEL-FIELD"],
    ["t5", { dense_act_fn: "mish" }, "MODEL-ACTIVATION"],
    ["olmoe", { clip_qkv: -8 }, "MODEL-FIELD"],
    ["bloom", { apply_residual_connection_post_layernorm: true }, "MODEL-FEATURE"],
    ["helium", { head_dim: 12 }, "MODEL-HEADS"],
    ["ministral3", { rope_parameters: { original_max_position_embeddings: 5 } }, "MODEL-FIELD"],
    ["hunyuan", { use_cla: true }, "MODEL-FEATURE"],
    ["hunyuan", { use_qk_norm: false }, "MODEL-FEATURE"],
    ["mpnet", { relative_attention_num_buckets: 16 }, "MODEL-FEATURE"],
    ["dinov2-registers", { num_register_tokens: -1 }, "MODEL-FIELD"],
    ["opt", { max_position_embeddings: 7 }, "MODEL-LENGTH"],
    ["llama-dynamic", { max_position_embeddings: 7 }, "MODEL-LENGTH"],
    ["stablelm", { hidden_size: 17 }, "MODEL-HEADS"],
    ["vit-cls", { architectures: ["ViTForMaskedImageModeling"] }, "MODEL-ARCHITECTURE"],
    ["vit-cls", { image_size: 13 }, "MODEL-SHAPE"],
    ["vit-cls", { num_attention_heads: 3 }, "MODEL-HEADS"],
  ];

  it("more layers than the files tell of, before any is made", () => {
    const config = { ...readJson("bases/llama/config.json"), num_hidden_layers: 500 };
    const keys = ["model.layers.0.mlp.weight", "model.layers.1.mlp.weight"];
    const wanted = expect.objectContaining({ code: "MODEL-LAYERS", expected: "2, as many as the model's files hold" });
    expect(() => buildModel(config, options({ length: 8, keys }))).toThrow(wanted);
  });

  it.each(refused)("%s: %o", (name, change, code) => {
    const config = { ...readJson(`bases/${name}/config.json`), ...change };
    expect(() => buildModel(config, options({ length: 8 }))).toThrow(expect.objectContaining({ code }));
  });

  it("dropout of the base is a warning", () => {
    const sink = new DiagnosticSink();
    buildModel({ ...readJson("bases/gpt2/config.json"), attn_pdrop: 0.1 }, options({ length: 8, sink }));
    expect(sink.diagnostics).toMatchObject([{ code: "MODEL-DROPOUT", where: "config.json: attn_pdrop" }]);
  });
});

describe("keys as files spell them", () => {
  it.each(["bert-cls", "gemma2", "opt", "vit-cls"])(
    "%s: files of the model without its head have no prefix",
    (name) => {
      const own = Object.keys(readTensors(`bases/${name}/model.safetensors`));
      const { modules } = describeModel(readJson(`bases/${name}/config.json`), undefined, (key) => own.includes(key));
      const prefix = `${modules[0]!.path}.`;
      const bare = new Set(own.map((key) => (key.startsWith(prefix) ? key.slice(prefix.length) : key)));
      const inside = describeModel(readJson(`bases/${name}/config.json`), undefined, (key) => bare.has(key)).modules;
      for (const { weight } of inside.filter(({ path }) => path.startsWith(prefix)))
        expect(weight === undefined || bare.has(weight)).toBe(true);
    },
  );

  it("GPT-2's first files lack the prefix of their paths", () => {
    const stored = (key: string): boolean => !key.startsWith("transformer.");
    const { modules } = describeModel(readJson("bases/gpt2/config.json"), undefined, stored);
    const attention = modules.find(({ path }) => path === "transformer.h.0.attn.c_attn");
    expect(attention).toMatchObject({ weight: "h.0.attn.c_attn.weight", bias: "h.0.attn.c_attn.bias" });
    expect(modules.at(-1)).toMatchObject({ path: "lm_head", weight: "wte.weight" });
  });

  it("old BERT files call gain and bias of a norm gamma and beta", () => {
    const stored = (key: string): boolean => !/LayerNorm\.(weight|bias)$/.test(key);
    const { modules } = describeModel(readJson("bases/bert-cls/config.json"), undefined, stored);
    expect(modules.find(({ path }) => path === "bert.embeddings.LayerNorm")).toMatchObject({
      weight: "bert.embeddings.LayerNorm.gamma",
      bias: "bert.embeddings.LayerNorm.beta",
    });
  });

  it("ViT's files have the names of older classes", () => {
    const stored = new Set(Object.keys(readTensors("bases/vit-cls/model.safetensors")));
    const { modules } = describeModel(readJson("bases/vit-cls/config.json"), undefined, (key) => stored.has(key));
    const keys = modules.flatMap(({ weight, bias, parameters = {} }) => [
      ...[weight, bias].filter((key) => key !== undefined),
      ...Object.values(parameters).map(({ key }) => key),
    ]);
    expect(keys.sort()).toEqual([...stored].sort());
  });
});
