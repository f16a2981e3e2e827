/** OLMo 2 and 3: norms behind attention and MLP, none before them, and over all heads of queries and of keys at once. */
import type { LayerRole } from "../decoder-spec.ts";
import { dropout, optional, positive, type Read, truth, whole } from "../fields.ts";
import { rms } from "../layers.ts";
import type { Names } from "../module.ts";
import { readRope, readRopes } from "../rope-config.ts";
import {
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
