/** Nemotron and Arcee: squared ReLU without a gate; Nemotron's gains are stored as their distance from one, and a part of every head turns. */
import { activation, dropout, positive, truth, whole } from "../fields.ts";
import { rms } from "../layers.ts";
import type { Names } from "../module.ts";
import { turnedWidth } from "../rope.ts";
import { readRope } from "../rope-config.ts";
import { wholeParts } from "../shapes.ts";
import type { MlpRole } from "../spec.ts";
import { both, decoderFamily, gatedDecoder, headSizes, sizes, switched } from "./common.ts";

const fields = {
  ...{ ...sizes, hidden_act: activation("relu2"), max_position_embeddings: whole(4096), attention_dropout: dropout },
  ...{ attention_bias: truth(false), mlp_bias: truth(false) },
};

const names: Names<MlpRole> = { up_proj: "up", down_proj: "down", act_fn: "silent" };

export const nemotron = decoderFamily("nemotron", { ...fields, norm_eps: positive(1e-5) }, (c, config) => {
  const rope = readRope(config, { fraction: 0.5, maximum: 4096 });
  wholeParts(turnedWidth(headSizes(c, false).headWidth, rope), 2, "partial_rotary_factor");
  return gatedDecoder(c, {
    norm: { kind: "layer-from-one", epsilon: c.norm_eps, bias: true },
    ropes: { all: rope },
    attention: { bias: both(switched("attention_bias", c)) },
    mlp: { names, bias: switched("mlp_bias", c) },
  });
});

export const arcee = decoderFamily("arcee", { ...fields, rms_norm_eps: positive(1e-5) }, (c, config) =>
  gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: readRope(config, { maximum: 4096 }) },
    attention: { bias: both(switched("attention_bias", c)) },
    mlp: { names, bias: switched("mlp_bias", c) },
  }),
);
