import { describe, expect, it } from "vitest";
import { buildModel, type ModelConfig } from "../../src/models/index.ts";
import { randomWeights, readJson, readTensors, relativeError, runModel } from "./helpers.ts";
import { type ReferenceModel, referenceLogits, referenceLoss } from "./reference.ts";
import { options, small } from "./small.ts";

describe("the golden llama", () => {
  const config = readJson("bases/llama/config.json");
  const data = {
    ...readTensors("bases/llama/model.safetensors"),
    ...readTensors("base-outputs/llama/inputs.safetensors"),
  };
  const expected = readTensors("base-outputs/llama/expected.safetensors");
  const counted = Array.from(data.labels!).filter((label, i) => i % 8 !== 0 && label !== -100).length;
  const run = (settings: ModelConfig) =>
    runModel(buildModel(settings, options({ length: 8 })).graph, { ...data, label_scale: [1 / counted] });

  it("has the logits and the loss of transformers", () => {
    const { logits, loss } = run(config);
    expect(logits!.shape).toEqual([2, 8, 64]);
    expect(relativeError(logits!.data, expected.logits!)).toBeLessThan(1e-6);
    expect(relativeError(loss!.data, expected.loss!)).toBeLessThan(1e-6);
  });

  it("reads the rope settings and the epsilon of the old spelling alike, and changes with them", () => {
    const { rope_parameters: _new, ...rest } = config;
    const old = run({ ...rest, rope_theta: 10000, rope_scaling: null });
    expect(relativeError(old.logits!.data, expected.logits!)).toBeLessThan(1e-6);
    const other = run({ ...rest, rope_theta: 500 });
    expect(relativeError(other.logits!.data, expected.logits!)).toBeGreaterThan(1e-3);
    const epsilon = run({ ...config, rms_norm_eps: 1e-2 });
    expect(relativeError(epsilon.logits!.data, expected.logits!)).toBeGreaterThan(1e-3);
  });
});

const smallReference: ReferenceModel = {
  vocabulary: 19,
  hidden: 12,
  intermediate: 10,
  heads: 6,
  keyValueHeads: 2,
  headWidth: 4,
  layers: 2,
  epsilon: 1e-5,
  theta: 700,
  headKey: "lm_head.weight",
};

const llama3 = {
  rope_type: "llama3",
  factor: 4,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 60,
};

/** The piecewise rule as the Llama 3.1 reference code has it. */
function llama3Frequency(frequency: number): number {
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength < 60 / 4) return frequency;
  if (wavelength > 60 / 1) return frequency / 4;
  const smooth = (60 / wavelength - 1) / (4 - 1);
  return ((1 - smooth) * frequency) / 4 + smooth * frequency;
}

const geluTanh = (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

const variants: readonly (readonly [string, ModelConfig, Partial<ReferenceModel>])[] = [
  ["llama, six heads over two", { model_type: "llama" }, {}],
  ["llama, one key head", { model_type: "llama", num_key_value_heads: 1 }, { keyValueHeads: 1 }],
  ["llama, as many key heads as heads", { model_type: "llama", num_key_value_heads: null }, { keyValueHeads: 6 }],
  ["llama, wide heads", { model_type: "llama", head_dim: 10 }, { headWidth: 10 }],
  ["llama, width of a head from the hidden size", { model_type: "llama", head_dim: null }, { headWidth: 2 }],
  ["llama, all biases", { model_type: "llama", attention_bias: true, mlp_bias: true }, {}],
  ["llama, tied head", { model_type: "llama", tie_word_embeddings: true }, { headKey: "model.embed_tokens.weight" }],
  [
    "llama, other theta and epsilon",
    { model_type: "llama", rope_theta: 20, rms_norm_eps: 0.3 },
    { theta: 20, epsilon: 0.3 },
  ],
  [
    "llama, linear scaling",
    { model_type: "llama", rope_scaling: { type: "linear", factor: 2.5 } },
    { scaleFrequency: (f) => f / 2.5 },
  ],
  [
    "llama, llama3 scaling",
    { model_type: "llama", rope_parameters: { ...llama3, rope_theta: 700 } },
    { scaleFrequency: llama3Frequency },
  ],
  ["llama, gelu", { model_type: "llama", hidden_act: "gelu_pytorch_tanh" }, { activation: geluTanh }],
  ["mistral with a window", { model_type: "mistral", sliding_window: 3 }, { window: () => 3 }],
  ["mistral without", { model_type: "mistral", sliding_window: null }, {}],
  ["qwen2", { model_type: "qwen2", sliding_window: 3 }, {}],
  [
    "qwen2 with a window in one layer",
    { model_type: "qwen2", use_sliding_window: true, sliding_window: 2, max_window_layers: 1 },
    { window: (layer) => (layer >= 1 ? 2 : undefined) },
  ],
  [
    "qwen2 with named layers",
    {
      model_type: "qwen2",
      use_sliding_window: true,
      sliding_window: 2,
      layer_types: ["sliding_attention", "full_attention"],
    },
    { window: (layer) => (layer === 0 ? 2 : undefined) },
  ],
];

const ids = [
  [3, 1, 4, 1, 5, 9, 2],
  [18, 0, 7, 7, 11, 13, 6],
];
/** Row 0 is padded on the left, row 1 on the right. */
const masks = [
  [0, 0, 1, 1, 1, 1, 1],
  [1, 1, 1, 1, 1, 0, 0],
];
const labels = [
  [-100, -100, -100, 1, 5, 9, 2],
  [3, 0, 7, -100, 11, -100, -100],
];

describe.each(variants)("%s", (_name, config, reference) => {
  const { graph } = buildModel({ ...small, ...config }, options());
  const weights = randomWeights(graph, 11);
  const model = { ...smallReference, ...reference };
  const want = ids.map((row, b) => referenceLogits(model, weights, row, masks[b]!));
  const inputs = { input_ids: ids.flat(), attention_mask: masks.flat(), labels: labels.flat(), label_scale: [0.25] };

  it("equals the plain loops", () => {
    const { logits, loss } = runModel(graph, { ...weights, ...inputs });
    expect(relativeError(logits!.data, want.flat(2))).toBeLessThan(1e-12);
    const total = want.reduce((sum, rows, b) => sum + referenceLoss(rows, labels[b]!), 0);
    expect(loss!.data[0]).toBeCloseTo(total * 0.25, 11);
  });
});

describe("variants", () => {
  it("differ from each other where they should: the reference is sensitive to every setting", () => {
    const logitsOf = (config: ModelConfig): ArrayLike<number> => {
      const { graph } = buildModel({ ...small, ...config }, options({ labels: false }));
      const weights = randomWeights(
        buildModel({ ...small, model_type: "llama", attention_bias: true, mlp_bias: true }, options()).graph,
        11,
      );
      return runModel(graph, { ...weights, input_ids: ids.flat(), attention_mask: masks.flat() }).logits!.data;
    };
    const plain = logitsOf({ model_type: "llama" });
    for (const other of [
      { attention_bias: true },
      { mlp_bias: true },
      { tie_word_embeddings: true },
      { rope_theta: 20 },
      { rope_scaling: llama3 },
      { hidden_act: "gelu_new" },
    ]) {
      expect(relativeError(logitsOf({ model_type: "llama", ...other }), plain), JSON.stringify(other)).toBeGreaterThan(
        1e-4,
      );
    }
  });

  it("a token that the mask hides changes nothing where others look", () => {
    const { graph } = buildModel({ ...small, model_type: "llama" }, options({ labels: false }));
    const weights = randomWeights(graph, 5);
    const logitsOf = (first: number): Float64Array =>
      runModel(graph, { ...weights, input_ids: [first, ...ids.flat().slice(1)], attention_mask: masks.flat() }).logits!
        .data;
    const [a, b] = [logitsOf(3), logitsOf(8)];
    expect(a.slice(2 * 19)).toEqual(b.slice(2 * 19));
    expect(a.slice(0, 19)).not.toEqual(b.slice(0, 19));
  });

  it("without a mask every token is seen", () => {
    const { graph } = buildModel({ ...small, model_type: "llama" }, options({ labels: false, mask: false }));
    const weights = randomWeights(graph, 5);
    const seen = ids.map((row) =>
      referenceLogits(
        smallReference,
        weights,
        row,
        row.map(() => 1),
      ),
    );
    expect(
      relativeError(runModel(graph, { ...weights, input_ids: ids.flat() }).logits!.data, seen.flat(2)),
    ).toBeLessThan(1e-12);
  });

  it("sequences of one token have no loss", () => {
    const { graph } = buildModel({ ...small, model_type: "llama" }, options({ length: 1, batch: 1, mask: false }));
    const { loss } = runModel(graph, { ...randomWeights(graph, 5), input_ids: [3], labels: [4], label_scale: [1] });
    expect(loss!.data[0]).toBe(0);
  });

  it("stored dtypes become ports of that dtype", () => {
    const { graph } = buildModel(
      { ...small, model_type: "llama" },
      options({ weightTypes: (key) => (key.includes("norm") ? "f32" : "bf16") }),
    );
    const dtypes = new Set(
      graph.nodes.flatMap((n) => (n.op === "port" && n.attributes.role === "weight" ? [n.attributes.dtype] : [])),
    );
    expect(dtypes).toEqual(new Set(["bf16", "f32"]));
  });
});
