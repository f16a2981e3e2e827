/** Phi 1 to 2: attention and MLP side by side; and Phi 3, which is LLaMA with joint layers. A part of every head turns. */

import { activation, dropout, layersOf, optional, positive, truth, whole } from "../fields.ts";
import { rms, withBias, withMean } from "../layers.ts";
import type { Names } from "../module.ts";
import { turnedWidth } from "../rope.ts";
import { readRope } from "../rope-config.ts";
import { wholeParts } from "../shapes.ts";
import type { AttentionRole } from "../spec.ts";
import { both, decoderFamily, gatedDecoder, headSizes, layerNames, modelNames, sizes } from "./common.ts";

const dropouts = { resid_pdrop: dropout, embd_pdrop: dropout, attention_dropout: dropout };

const phiFields = {
  ...{ ...sizes, ...dropouts, hidden_size: whole(2048), num_attention_heads: whole(32), vocab_size: whole(51200) },
  ...{ num_hidden_layers: layersOf(24), intermediate_size: whole(8192), hidden_act: activation("gelu_new") },
  ...{ layer_norm_eps: positive(1e-5), qk_layernorm: truth(false) },
};

const phiAttention: Names<AttentionRole> = {
  ...{ q_proj: "query", k_proj: "key", v_proj: "value", dense: "output" },
};

export const phi = decoderFamily("phi", phiFields, (c, config) => {
  const norm = withMean(c.layer_norm_eps);
  const rope = readRope(config, { fraction: 0.5, maximum: 2048 });
  wholeParts(turnedWidth(headSizes(c, false).headWidth, rope), 2, "partial_rotary_factor");
  return gatedDecoder(c, {
    norm,
    ropes: { all: rope },
    names: {
      ...modelNames,
      parts: {
        ...{ embed_tokens: "embedding", layers: "layers", rotary_emb: "rope", embed_dropout: "silent" },
        final_layernorm: "norm",
      },
    },
    attention: {
      bias: both(withBias),
      ...(c.qk_layernorm
        ? {
            names: { ...phiAttention, q_layernorm: "query norm", k_layernorm: "key norm" },
            norms: { ...norm, heads: "one gain" },
          }
        : { names: phiAttention }),
    },
    mlp: { names: { activation_fn: "silent", fc1: "up", fc2: "down" }, bias: withBias },
    layer: {
      names: { self_attn: "attention", mlp: "mlp", input_layernorm: "before attention", resid_dropout: "silent" },
      parallel: true,
    },
    head: { tied: c.tie_word_embeddings, bias: true },
  });
});

const phi3Fields = {
  ...{ ...sizes, ...dropouts, rms_norm_eps: positive(1e-5), sliding_window: optional(whole()) },
  max_position_embeddings: whole(4096),
};

/** The first configs call its scaling by other names. */
const phi3Rope = {
  ...{ fraction: 1, maximum: 4096, original_max_position_embeddings: 4096 },
  kinds: { su: "longrope", yarn: "longrope" },
};

export const phi3 = decoderFamily("phi3", phi3Fields, (c, config) =>
  gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: readRope(config, phi3Rope) },
    attention: { names: { o_proj: "output", qkv_proj: "joint" }, window: c.sliding_window },
    mlp: { names: { gate_up_proj: "joint", down_proj: "down", activation_fn: "silent" } },
    layer: { names: { ...layerNames, resid_attn_dropout: "silent", resid_mlp_dropout: "silent" } },
  }),
);
