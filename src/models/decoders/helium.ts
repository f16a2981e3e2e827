/** Helium and ERNIE 4.5: LLaMA where neighbours turn together. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { dropout, optional, positive, truth, whole } from "../fields.ts";
import { rms, withoutBias } from "../layers.ts";
import { readRope } from "../rope-config.ts";
import { both, decoderFamily, gatedDecoder, sizes, switched } from "./common.ts";

const heliumFields = {
  ...{ ...sizes, head_dim: whole(128), rms_norm_eps: positive(1e-8), max_position_embeddings: whole(4096) },
  ...{ num_key_value_heads: optional(whole(), 20), attention_dropout: dropout },
  ...{ attention_bias: truth(false), mlp_bias: truth(false) },
};

export const helium = decoderFamily("helium", heliumFields, (c, config) => {
  const width = c.num_attention_heads * c.head_dim;
  if (width !== c.hidden_size)
    throw new WebpeftError("MODEL-HEADS", {
      message: "the heads of this family are as wide together as the hidden states",
      where: "config.json: head_dim",
      expected: `hidden_size / num_attention_heads, ${c.hidden_size} / ${c.num_attention_heads}`,
      got: String(c.head_dim),
    });
  return gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: { ...readRope(config, { theta: 1e5, maximum: 4096 }), pairs: "neighbours" } },
    attention: { bias: [switched("attention_bias", c), withoutBias] },
    mlp: { bias: switched("mlp_bias", c) },
  });
});

const ernieFields = {
  ...{ ...sizes, head_dim: optional(whole(), 128), rms_norm_eps: positive(1e-5), tie_word_embeddings: truth(true) },
  ...{ num_key_value_heads: optional(whole(), 2), max_position_embeddings: whole(131072), use_bias: truth(false) },
};

export const ernie = decoderFamily("ernie4_5", ernieFields, (c, config) =>
  gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: { ...readRope(config, { theta: 5e5, maximum: 131072 }), pairs: "neighbours" } },
    attention: { bias: both(switched("use_bias", c)) },
    mlp: { bias: switched("use_bias", c) },
  }),
);
