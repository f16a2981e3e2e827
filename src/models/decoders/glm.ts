/** GLM 4: neighbours turn together in a part of every head, gate and up are one layer; the later kind has norms behind attention and MLP too. */

import { dropout, optional, positive, type Read, truth, whole } from "../fields.ts";
import { rms, withoutBias } from "../layers.ts";
import type { ModelConfig } from "../model.ts";
import type { Names } from "../module.ts";
import { turnedWidth } from "../rope.ts";
import { readRope } from "../rope-config.ts";
import { wholeParts } from "../shapes.ts";
import type { LayerRole } from "../spec.ts";
import { decoderFamily, gatedDecoder, headSizes, layerNames, sizes, switched } from "./common.ts";

const fields = {
  ...{ ...sizes, rms_norm_eps: positive(1.5625e-7), attention_bias: truth(true), attention_dropout: dropout },
  ...{ num_key_value_heads: optional(whole(), 2), head_dim: whole(128), max_position_embeddings: whole(131072) },
};

const glmDecoder = (names: Names<LayerRole>) => (c: Read<typeof fields>, config: ModelConfig) => {
  const rope = readRope(config, { fraction: 0.5, maximum: 131072 });
  wholeParts(turnedWidth(headSizes(c, false).headWidth, rope), 2, "partial_rotary_factor");
  return gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: { ...rope, pairs: "neighbours" } },
    attention: { bias: [switched("attention_bias", c), withoutBias] },
    mlp: { names: { gate_up_proj: "joint", down_proj: "down", activation_fn: "silent" } },
    layer: { names },
  });
};

export const glm = decoderFamily("glm", fields, glmDecoder(layerNames));

export const glm4 = decoderFamily(
  "glm4",
  fields,
  glmDecoder({
    ...{ self_attn: "attention", mlp: "mlp", input_layernorm: "before attention" },
    ...{ post_attention_layernorm: "before mlp", post_self_attn_layernorm: "after attention" },
    post_mlp_layernorm: "after mlp",
  }),
);
