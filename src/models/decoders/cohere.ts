/** Cohere's Command: attention and MLP side by side behind one norm without a bias, neighbours turn together, logits are scaled. */
import { dropout, optional, positive, type Read, truth, whole } from "../fields.ts";
import { withMean } from "../layers.ts";
import { readRope } from "../rope-config.ts";
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

const fields = {
  ...{ ...sizes, layer_norm_eps: positive(1e-5), logit_scale: positive(0.0625), attention_bias: truth(false) },
  ...{ max_position_embeddings: whole(8192), tie_word_embeddings: truth(true), attention_dropout: dropout },
};

const common = (c: Read<typeof fields>) =>
  ({
    norm: withMean(c.layer_norm_eps, false),
    layer: {
      names: { self_attn: "attention", mlp: "mlp", input_layernorm: "before attention" },
      parallel: true,
    },
    attention: { bias: both(switched("attention_bias", c)) },
    head: { tied: c.tie_word_embeddings, scale: c.logit_scale },
  }) satisfies Partial<Changes>;

export const cohere = decoderFamily("cohere", { ...fields, use_qk_norm: truth(false) }, (c, config) => {
  const { attention, ...rest } = common(c);
  const norms = { ...withMean(c.layer_norm_eps, false), heads: "rows" } as const;
  return gatedDecoder(c, {
    ...rest,
    ropes: { all: { ...readRope(config, { theta: 5e5, maximum: 8192 }), pairs: "neighbours" } },
    attention: c.use_qk_norm ? { ...attention, names: normedAttentionNames, norms } : attention,
  });
});

/** Only layers with a window turn. */
export const cohere2 = decoderFamily("cohere2", { ...fields, sliding_window: optional(whole(), 4096) }, (c, config) => {
  const types = layerTypes(config, c.num_hidden_layers, allButEvery(config, 4));
  const windows = slides(types, c.sliding_window);
  return gatedDecoder(c, {
    ...common(c),
    ropes: { all: { ...readRope(config, { maximum: 8192 }), pairs: "neighbours" } },
    at: (i) => ({ ...windows(i), rope: windows(i).window === undefined ? undefined : "all" }),
  });
});
