/** StableLM and StarCoder 2: LayerNorm with biases where LLaMA has RMSNorm. */
import { activation, dropout, optional, positive, truth, whole } from "../fields.ts";
import { withMean, withoutBias } from "../layers.ts";
import { turnedWidth } from "../rope.ts";
import { readRope } from "../rope-config.ts";
import { wholeParts } from "../shapes.ts";
import {
  attentionNames,
  both,
  decoderFamily,
  gatedDecoder,
  headSizes,
  layerNames,
  modelNames,
  sizes,
  switched,
} from "./common.ts";

const stablelmFields = {
  ...{ ...sizes, layer_norm_eps: positive(1e-5), num_key_value_heads: optional(whole(), 32) },
  ...{ max_position_embeddings: whole(4096), use_qkv_bias: truth(false), qk_layernorm: truth(false) },
  ...{ use_parallel_residual: truth(false), hidden_dropout: dropout, attention_dropout: dropout },
};

export const stablelm = decoderFamily("stablelm", stablelmFields, ({ head_dim: _from, ...c }, config) => {
  const norm = withMean(c.layer_norm_eps);
  const rope = readRope(config, { fraction: 0.25, maximum: 4096 });
  wholeParts(turnedWidth(headSizes(c, false).headWidth, rope), 2, "partial_rotary_factor");
  const { post_attention_layernorm: _second, ...oneNorm } = layerNames;
  return gatedDecoder(c, {
    ...{ norm, ropes: { all: rope } },
    names: {
      ...modelNames,
      parts: { embed_tokens: "embedding", layers: "layers", norm: "norm", rotary_emb: "rope" },
    },
    attention: {
      bias: [switched("use_qkv_bias", c), withoutBias],
      ...(c.qk_layernorm
        ? {
            names: { ...attentionNames, q_layernorm: "query norm", k_layernorm: "key norm" },
            norms: { ...withMean(c.layer_norm_eps, false), heads: "modules" },
          }
        : {}),
    },
    layer: {
      names: { ...(c.use_parallel_residual ? oneNorm : layerNames), dropout: "silent" },
      parallel: c.use_parallel_residual,
    },
  });
});

const starcoder2Fields = {
  ...{ ...sizes, norm_epsilon: positive(1e-5), num_key_value_heads: optional(whole(), 2) },
  ...{ hidden_act: activation("gelu_pytorch_tanh"), max_position_embeddings: whole(4096) },
  ...{ sliding_window: optional(whole()), use_bias: truth(true), tie_word_embeddings: truth(true) },
  ...{ residual_dropout: dropout, embedding_dropout: dropout, attention_dropout: dropout },
};

export const starcoder2 = decoderFamily("starcoder2", starcoder2Fields, (c, config) =>
  gatedDecoder(c, {
    norm: withMean(c.norm_epsilon),
    ropes: { all: readRope(config, { maximum: 4096 }) },
    attention: { bias: both(switched("use_bias", c)), window: c.sliding_window },
    mlp: { names: { c_fc: "up", c_proj: "down", act: "silent" }, bias: switched("use_bias", c) },
  }),
);
