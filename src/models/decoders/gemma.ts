/** Gemma: gains that are stored as their distance from one, embeddings times the root of their width, and from the second on norms around both parts of a layer. */

import { activation, dropout, only, optional, positive, truth, whole } from "../fields.ts";
import type { NormSpec } from "../layers.ts";
import type { Names } from "../module.ts";
import { readRope, readRopes } from "../rope-config.ts";
import type { LayerRole } from "../spec.ts";
import {
  allButEvery,
  both,
  type Changes,
  decoderFamily,
  gatedDecoder,
  layerTypes,
  normedAttentionNames,
  sizes,
  slides,
  switched,
} from "./common.ts";

const { hidden_act: _hidden_act, ...gemmaSizes } = sizes;

const fields = {
  ...{ ...gemmaSizes, num_key_value_heads: whole(16), head_dim: whole(256), max_position_embeddings: whole(8192) },
  ...{ tie_word_embeddings: truth(true), rms_norm_eps: positive(1e-6), attention_bias: truth(false) },
  ...{ attention_dropout: dropout, use_bidirectional_attention: only(false) },
};

const cappedFields = {
  ...{ ...fields, num_key_value_heads: whole(4), hidden_activation: activation("gelu_pytorch_tanh") },
  ...{ query_pre_attn_scalar: positive(256), sliding_window: optional(whole(), 4096) },
};

type GemmaFields = {
  readonly hidden_size: number;
  readonly rms_norm_eps: number;
  readonly attention_bias: boolean;
};

const gain = (c: GemmaFields): NormSpec => ({ kind: "rms-from-one", epsilon: c.rms_norm_eps, bias: false });

const common = (c: GemmaFields) =>
  ({
    norm: gain(c),
    embeddingScale: Math.sqrt(c.hidden_size),
    attention: { bias: both(switched("attention_bias", c)) },
  }) satisfies Partial<Changes>;

/** Old configs say `gelu` and mean its approximation. */
const gemmaActivation: typeof cappedFields.hidden_activation = (config, name, sink) => {
  const read = activation("gelu_pytorch_tanh")(config, name, sink);
  return read === "gelu" ? "gelu_tanh" : read;
};

export const gemma = decoderFamily("gemma", { ...fields, hidden_act: gemmaActivation }, (c, config) =>
  gatedDecoder(c, { ...common(c), ropes: { all: readRope(config, { maximum: 8192 }) } }),
);

const aroundBoth: Names<LayerRole> = {
  ...{ self_attn: "attention", mlp: "mlp", input_layernorm: "before attention" },
  ...{ post_attention_layernorm: "after attention", pre_feedforward_layernorm: "before mlp" },
  post_feedforward_layernorm: "after mlp",
};

const gemma2Fields = {
  ...{ ...cappedFields, attn_logit_softcapping: optional(positive(), 50) },
  final_logit_softcapping: optional(positive(), 30),
};

export const gemma2 = decoderFamily("gemma2", gemma2Fields, (c, config) => {
  const { attention, ...rest } = common(c);
  return gatedDecoder(c, {
    ...rest,
    ropes: { all: readRope(config, { maximum: 8192 }) },
    attention: { ...attention, scale: c.query_pre_attn_scalar ** -0.5, cap: c.attn_logit_softcapping ?? 0 },
    mlp: { activation: c.hidden_activation },
    layer: { names: aroundBoth },
    head: { tied: c.tie_word_embeddings, cap: c.final_logit_softcapping },
    at: slides(
      layerTypes(config, c.num_hidden_layers, (i) => i % 2 === 0),
      c.sliding_window,
    ),
  });
});

const gemma3Fields = {
  ...{ ...cappedFields, max_position_embeddings: whole(131072), final_logit_softcapping: optional(positive()) },
  ...{ use_bidirectional_attention: truth(false) },
};

/** Its layers turn with two ropes, and see both ways where it embeds texts, half of a window to either side; transformers asks for no cap of its scores, whatever the config says. */
export const gemma3 = decoderFamily("gemma3_text", gemma3Fields, (c, config) => {
  const { attention, ...rest } = common(c);
  const types = layerTypes(config, c.num_hidden_layers, allButEvery(config, 6));
  const bothWays = c.use_bidirectional_attention;
  const windows = slides(types, bothWays && c.sliding_window !== undefined ? c.sliding_window >> 1 : c.sliding_window);
  const thetas = {
    full_attention: config.rope_theta ?? 1e6,
    sliding_attention: config.rope_local_base_freq ?? 1e4,
  };
  return gatedDecoder(c, {
    ...rest,
    ropes: readRopes(config, { thetas, maximum: 131072 }),
    attention: {
      ...{ ...attention, names: normedAttentionNames, norms: { ...gain(c), heads: "one gain" } },
      scale: c.query_pre_attn_scalar ** -0.5,
    },
    bothWays,
    mlp: { activation: c.hidden_activation },
    layer: { names: aroundBoth },
    head: { tied: c.tie_word_embeddings, cap: c.final_logit_softcapping },
    at: (i) => ({ ...windows(i), rope: types[i]! }),
  });
});
