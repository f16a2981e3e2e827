/** OLMo, whose norms have no weights; OLMo 2 and 3, and EXAONE 4: norms behind attention and MLP, none before them, and norms of queries and keys. */

import { dropout, optional, positive, type Read, truth, whole } from "../fields.ts";
import { rms, withMean } from "../layers.ts";
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

const fields = { ...sizes, rms_norm_eps: positive(1e-5), attention_bias: truth(false), attention_dropout: dropout };

const olmoFields = {
  ...{ ...sizes, attention_bias: truth(false), attention_dropout: dropout, clip_qkv: optional(positive()) },
};

export const olmo = decoderFamily("olmo", olmoFields, (c, config) =>
  gatedDecoder(c, {
    norm: { ...withMean(1e-5, false), plain: true },
    ropes: { all: readRope(config, { maximum: 2048 }) },
    attention: { bias: both(switched("attention_bias", c)), clip: c.clip_qkv },
  }),
);

const behind: Names<LayerRole> = {
  ...{ self_attn: "attention", mlp: "mlp" },
  ...{ post_attention_layernorm: "after attention", post_feedforward_layernorm: "after mlp" },
};

const common = (c: Read<typeof fields>) =>
  ({
    norm: rms(c.rms_norm_eps),
    layer: { names: behind },
    attention: {
      ...{ names: normedAttentionNames, norms: { ...rms(c.rms_norm_eps), heads: "at once" } },
      ...{ bias: both(switched("attention_bias", c)) },
    },
  }) satisfies Partial<Changes>;

export const olmo2 = decoderFamily("olmo2", fields, (c, config) =>
  gatedDecoder(c, { ...common(c), ropes: { all: readRope(config, { maximum: 2048 }) } }),
);

/** The rope of full attention is scaled, that of windows is not. */
export const olmo3 = decoderFamily("olmo3", { ...fields, sliding_window: optional(whole(), 4096) }, (c, config) => {
  const types = layerTypes(config, c.num_hidden_layers, (i) => (i + 1) % 4 !== 0);
  const windows = slides(types, c.sliding_window);
  const thetas = { full_attention: config.rope_theta ?? 5e5, sliding_attention: 5e5 };
  return gatedDecoder(c, {
    ...common(c),
    ropes: readRopes(config, { thetas, maximum: 2048 }),
    at: (i) => ({ ...windows(i), rope: types[i]! }),
  });
});

const exaoneFields = {
  ...{ ...sizes, rms_norm_eps: positive(1e-5), attention_dropout: dropout, num_key_value_heads: optional(whole(), 32) },
  ...{ sliding_window: optional(whole(), 4096) },
};

/** Where some layers have a window, only those turn. */
export const exaone4 = decoderFamily("exaone4", exaoneFields, (c, config) => {
  const { sliding_window: window } = c;
  const types = layerTypes(config, c.num_hidden_layers, window === undefined ? () => false : allButEvery(config, 4));
  const windows = slides(types, window);
  return gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: readRope(config, { maximum: 2048 }) },
    layer: { names: behind },
    attention: { names: normedAttentionNames, norms: { ...rms(c.rms_norm_eps), heads: "one gain" } },
    at: (i) => ({ ...windows(i), rope: window === undefined || types[i] === "sliding_attention" ? "all" : undefined }),
  });
});
