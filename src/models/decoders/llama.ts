/** LLaMA and its next of kin: RMSNorm before attention and before a gated MLP, rotary embedding. Each differs in a few fields. */
import { dropout, natural, optional, positive, type Read, truth, whole, wholes } from "../fields.ts";
import { rms, withBias, withoutBias } from "../layers.ts";
import type { ModelConfig } from "../model.ts";
import { readRope } from "../rope-config.ts";
import {
  both,
  decoderFamily,
  gatedDecoder,
  layerTypes,
  normedAttentionNames,
  sizes,
  slides,
  switched,
} from "./common.ts";

const fields = { ...sizes, rms_norm_eps: positive(1e-6), attention_dropout: dropout };
const biases = { attention_bias: truth(false), mlp_bias: truth(false) };

type Biases = { readonly attention_bias: boolean; readonly mlp_bias: boolean };

/** Where `attention_bias` is true all layers of attention have biases; where `mlp_bias` is, those of the MLP. */
const biased = (c: Biases) => ({
  attention: { bias: both(switched("attention_bias", c)) },
  mlp: { bias: switched("mlp_bias", c) },
});

export const llama = decoderFamily("llama", { ...fields, ...biases }, (c, config) =>
  gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: readRope(config, { maximum: 2048 }) },
    ...biased(c),
  }),
);

const mistralFields = {
  ...{ ...fields, num_key_value_heads: optional(whole(), 8), sliding_window: optional(whole(), 4096) },
  max_position_embeddings: whole(131072),
};

export const mistral = decoderFamily("mistral", mistralFields, (c, config) =>
  gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: readRope(config, { maximum: 131072 }) },
    attention: { window: c.sliding_window },
  }),
);

export const ministral = decoderFamily("ministral", mistralFields, (c, config) =>
  gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: readRope(config, { maximum: 131072 }) },
    at: slides(
      layerTypes(config, c.num_hidden_layers, () => c.sliding_window !== undefined),
      c.sliding_window,
    ),
  }),
);

const qwenFields = {
  ...{ ...fields, num_key_value_heads: optional(whole(), 32), max_position_embeddings: whole(32768) },
  ...{ use_sliding_window: truth(false), sliding_window: optional(whole(), 4096) },
  max_window_layers: optional(natural, 28),
};

/** A window in the layers that `layer_types` names, or in those from `max_window_layers` on; in none unless it is used. */
function qwenWindows(c: Read<typeof qwenFields>, config: ModelConfig) {
  if (!c.use_sliding_window) return () => ({});
  const first = c.max_window_layers ?? 28;
  return slides(
    layerTypes(config, c.num_hidden_layers, (i) => i >= first),
    c.sliding_window,
  );
}

export const qwen2 = decoderFamily("qwen2", qwenFields, (c, config) =>
  gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: readRope(config, { maximum: 32768 }) },
    attention: { bias: [withBias, withoutBias] },
    at: qwenWindows(c, config),
  }),
);

export const qwen3 = decoderFamily(
  "qwen3",
  { ...qwenFields, head_dim: whole(128), attention_bias: truth(false) },
  (c, config) =>
    gatedDecoder(c, {
      norm: rms(c.rms_norm_eps),
      ropes: { all: readRope(config, { maximum: 32768 }) },
      attention: {
        bias: both(switched("attention_bias", c)),
        names: normedAttentionNames,
        norms: { ...rms(c.rms_norm_eps), heads: "one gain" },
      },
      at: qwenWindows(c, config),
    }),
);

const smollm3Fields = {
  ...{ ...fields, ...biases, num_key_value_heads: optional(whole(), 4), max_position_embeddings: whole(32768) },
  ...{ tie_word_embeddings: truth(true), use_sliding_window: truth(false), sliding_window: optional(whole()) },
  ...{ no_rope_layers: optional(wholes), no_rope_layer_interval: whole(4) },
};

/** `no_rope_layers` is 1 where positions turn, 0 where they do not. */
export const smollm3 = decoderFamily("smollm3", smollm3Fields, (c, config) => {
  const turns = (i: number): boolean =>
    c.no_rope_layers === undefined ? (i + 1) % c.no_rope_layer_interval !== 0 : c.no_rope_layers[i] !== 0;
  const window = c.use_sliding_window ? c.sliding_window : undefined;
  const types = layerTypes(config, c.num_hidden_layers, (i) => window !== undefined && !turns(i));
  const windows = slides(types, window);
  return gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: readRope(config, { theta: 2e6, maximum: 32768 }) },
    ...biased(c),
    at: (i) => ({ ...windows(i), rope: turns(i) ? "all" : undefined }),
  });
});

const seedFields = {
  ...{ ...fields, num_key_value_heads: optional(whole(), 8), head_dim: optional(whole(), 128) },
  ...{ max_position_embeddings: whole(524288), residual_dropout: dropout },
  ...{ attention_bias: truth(true), attention_out_bias: truth(false), mlp_bias: truth(false) },
};

export const seedOss = decoderFamily("seed_oss", seedFields, (c, config) =>
  gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: readRope(config, { maximum: 524288 }) },
    attention: { bias: [switched("attention_bias", c), switched("attention_out_bias", c)] },
    mlp: { bias: switched("mlp_bias", c) },
  }),
);

const graniteFields = {
  ...{ ...fields, ...biases, embedding_multiplier: positive(1), logits_scaling: positive(1) },
  ...{ residual_multiplier: positive(1), attention_multiplier: positive(1) },
};

export const granite = decoderFamily("granite", graniteFields, (c, config) => {
  const { attention, mlp } = biased(c);
  return gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: readRope(config, { maximum: 2048 }) },
    streamScale: c.embedding_multiplier,
    attention: { ...attention, scale: c.attention_multiplier },
    mlp,
    layer: { residualScale: c.residual_multiplier },
    head: { tied: c.tie_word_embeddings, scale: 1 / c.logits_scaling },
  });
});
