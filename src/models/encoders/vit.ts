/** Models of images: ViT, and DINOv2, whose branches are scaled entry by entry and whose classifier reads the patches too. */
import { requirePlainWeights } from "../config.ts";
import {
  activation,
  dropout,
  layersOf,
  natural,
  only,
  optional,
  positive,
  type Read,
  readFields,
  truth,
  whole,
} from "../fields.ts";
import { headKind, headNames, rowLabels } from "../head.ts";
import { imageLength } from "../image.ts";
import { linear, withBias, withMean } from "../layers.ts";
import type { HeadNames, ModelConfig } from "../model.ts";
import type { ModelFamily, Names } from "../module.ts";
import { firstToken } from "../pooling.ts";
import type { Sequence } from "../sequence.ts";
import { headWidth, wholeParts } from "../shapes.ts";
import type { ImageSpec, LayerRole, MlpSpec, StackRole, StackSpec } from "../spec.ts";
import { type Head, modelOf } from "../tree.ts";

const sizes = {
  ...{ hidden_size: whole(768), num_attention_heads: whole(12), num_hidden_layers: layersOf(12) },
  ...{ image_size: whole(224), num_channels: whole(3), hidden_act: activation("gelu"), qkv_bias: truth(true) },
  ...{ hidden_dropout_prob: dropout, attention_probs_dropout_prob: dropout },
};

const kinds: HeadNames = { sequence: "ForImageClassification", ...headNames("none") };

interface Parts {
  readonly parts: Names<StackRole>;
  readonly layer: Names<LayerRole>;
  readonly epsilon: number;
  readonly patch: number;
  readonly registers?: number;
  readonly mlp: MlpSpec;
  /** The width of what a pooler makes of an image. */
  readonly pooled?: number | undefined;
}

/** The spec of these sizes. */
function imageSpec(
  modelType: string,
  c: Read<typeof sizes>,
  { parts, layer: names, epsilon, patch, registers = 0, mlp, pooled }: Parts,
): StackSpec {
  const { hidden_size: hidden, num_attention_heads: heads } = c;
  const norm = withMean(epsilon);
  const side = wholeParts(c.image_size, patch, "image_size, patch_size");
  const image: ImageSpec = { channels: c.num_channels, patch, side, registers };
  const width = headWidth(hidden, heads, "hidden_size, num_attention_heads");
  const layer: StackSpec["layers"][number] = {
    ...{ names, norm, mlp },
    attention: {
      names: { q_proj: "query", k_proj: "key", v_proj: "value", o_proj: "output" },
      ...{ heads, keyHeads: heads, headWidth: width, scale: 1 / Math.sqrt(width), closed: true },
      bias: [{ has: c.qkv_bias, field: "qkv_bias" }, withBias],
    },
  };
  return {
    ...{ modelType, vocabulary: 0, hidden, maximumLength: imageLength(image), image, norm, ropes: {}, bothWays: true },
    names: { path: [modelType], parts: { embeddings: "image", ...parts, layernorm: "norm", pooler: "pooler" } },
    ...(pooled === undefined ? {} : { pooler: { width: pooled } }),
    layers: Array.from({ length: c.num_hidden_layers }, () => layer),
  };
}

/** A classifier on what stands for an image, f32[b, width] of hidden states. */
function classifier(config: ModelConfig, width: number, row: (sequence: Sequence, hidden: number) => number): Head {
  const is = { kind: "sequence", ...rowLabels(config) } as const;
  return {
    modules: { classifier: linear(width, is.classes, true) },
    logits: ({ classifier: of }, { hidden }, sequence) => of!(row(sequence, hidden)),
    is,
  };
}

const vitFields = {
  ...{ ...sizes, patch_size: whole(16), layer_norm_eps: positive(1e-12), intermediate_size: whole(3072) },
  pooler_act: only("tanh"),
};

export const vit: ModelFamily = {
  ...{ modelTypes: ["vit"], heads: kinds, layerFields: ["num_hidden_layers"] },
  read: (config, sink) => {
    requirePlainWeights(config);
    const c = readFields(vitFields, config, sink);
    const isAlone = headKind(config, kinds) === "none";
    const spec = imageSpec("vit", c, {
      ...{ parts: { layers: "layers" }, epsilon: c.layer_norm_eps, patch: c.patch_size },
      layer: {
        ...{ attention: "attention", layernorm_before: "before attention", layernorm_after: "before mlp" },
        ...{ mlp: "mlp", dropout: "silent" },
      },
      mlp: {
        names: { activation_fn: "silent", fc1: "up", fc2: "down" },
        ...{ inner: c.intermediate_size, activation: c.hidden_act, bias: withBias },
      },
      pooled: isAlone ? whole(c.hidden_size)(config, "pooler_output_size", sink) : undefined,
    });
    return modelOf(spec, isAlone ? undefined : classifier(config, c.hidden_size, firstToken), config);
  },
  otherKeys: (key) => [inFiles.reduce((name, [memory, file]) => name.replace(memory, file), key)],
};

/** Names in files, which transformers 5 translates on loading. */
const inFiles: readonly (readonly [string, string])[] = [
  ["vit.layers.", "vit.encoder.layer."],
  [".attention.q_proj.", ".attention.attention.query."],
  [".attention.k_proj.", ".attention.attention.key."],
  [".attention.v_proj.", ".attention.attention.value."],
  [".attention.o_proj.", ".attention.output.dense."],
  [".mlp.fc1.", ".intermediate.dense."],
  [".mlp.fc2.", ".output.dense."],
];

const dinov2Fields = {
  ...{ ...sizes, layer_norm_eps: positive(1e-6), mlp_ratio: whole(4), use_swiglu_ffn: truth(false) },
};

/** With a gate two thirds as wide, up to a multiple of 8; gate and the layer beside it are one tensor of files. */
function dinov2Mlp(c: Read<typeof dinov2Fields>): MlpSpec {
  const inner = c.hidden_size * c.mlp_ratio;
  if (!c.use_swiglu_ffn)
    return {
      names: { activation_fn: "silent", fc1: "up", fc2: "down" },
      ...{ inner, activation: c.hidden_act, bias: withBias },
    };
  return {
    names: { gate_proj: "gate", up_proj: "up", down_proj: "down", act_fn: "silent" },
    ...{ inner: 8 * Math.ceil(Math.floor((inner * 2) / 3) / 8), activation: "silu", bias: withBias },
    stored: "weights_in",
  };
}

const dinov2Of = (modelType: string, patch: number, registers?: number): ModelFamily => ({
  ...{ modelTypes: [modelType], heads: kinds, layerFields: ["num_hidden_layers"] },
  read: (config, sink) => {
    requirePlainWeights(config);
    const c = readFields({ ...dinov2Fields, patch_size: whole(patch) }, config, sink);
    const own = registers === undefined ? 0 : (optional(natural, registers)(config, "num_register_tokens", sink) ?? 0);
    const spec = imageSpec(modelType, c, {
      ...{ parts: { encoder: { layer: "layers" } }, epsilon: c.layer_norm_eps, patch: c.patch_size, registers: own },
      layer: {
        ...{ norm1: "before attention", attention: "attention", layer_scale1: "scale attention", drop_path: "silent" },
        ...{ norm2: "before mlp", mlp: "mlp", layer_scale2: "scale mlp" },
      },
      mlp: dinov2Mlp(c),
    });
    const head = classifier(config, 2 * c.hidden_size, classAndPatches(own));
    return modelOf(spec, headKind(config, kinds) === "none" ? undefined : head, config);
  },
  otherKeys: (key) => [
    key
      .replace(/attention\.o_proj\./, "attention.output.dense.")
      .replace(/attention\.([qkv])_proj\./, (_all, of: string) => {
        const name = { q: "query", k: "key", v: "value" }[of]!;
        return `attention.attention.${name}.`;
      })
      .replace(/mlp\.down_proj\./, "mlp.weights_out."),
  ],
});

export const dinov2 = dinov2Of("dinov2", 14);

export const dinov2WithRegisters = dinov2Of("dinov2_with_registers", 16, 4);

/** The class token, and the mean of the patches behind it and the registers. */
const classAndPatches =
  (registers: number) =>
  (sequence: Sequence, stream: number): number => {
    const { builder } = sequence;
    const [batch, length, width] = builder.shape(stream) as [number, number, number];
    const patches = builder.slice(stream, [0, 1 + registers, 0], [batch, length, width]);
    const mean = builder.scale(builder.sum(patches, [1]), 1 / (length - 1 - registers));
    return builder.concat([firstToken(sequence, stream), mean], 1);
  };
