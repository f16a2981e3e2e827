/** Later kin of LLaMA whose ropes are scaled where the config says nothing: Ministral 3, CWM; and Hunyuan, whose norms come behind the rotation. */
import { positiveNumber, present, section } from "../config.ts";
import { dropout, only, optional, positive, truth, whole } from "../fields.ts";
import { rms } from "../layers.ts";
import type { ModelConfig } from "../model.ts";
import { readRope } from "../rope-config.ts";
import { both, decoderFamily, gatedDecoder, headSizes, layerTypes, sizes, slides, switched } from "./common.ts";

/** The config with these parameters of its rope where it has none. */
const withRope = (config: ModelConfig, rope_parameters: ModelConfig): ModelConfig =>
  ["rope_parameters", "rope_scaling"].some((name) => present(config, name) !== undefined)
    ? config
    : { ...config, rope_parameters };

const fields = {
  ...{ ...sizes, head_dim: optional(whole(), 128), rms_norm_eps: positive(1e-5), attention_dropout: dropout },
  ...{ num_key_value_heads: optional(whole(), 8), max_position_embeddings: whole(131072) },
};

const ministral3Fields = {
  ...{ ...fields, sliding_window: optional(whole()), max_position_embeddings: whole(262144) },
};

const ministral3Rope = {
  ...{ rope_type: "yarn", rope_theta: 1e6, factor: 16, original_max_position_embeddings: 16384 },
  ...{ beta_fast: 32, beta_slow: 1, mscale_all_dim: 1, mscale: 1, llama_4_scaling_beta: 0.1 },
};

export const ministral3 = decoderFamily("ministral3", ministral3Fields, (c, given) => {
  const config = withRope(given, ministral3Rope);
  const rope = section(config, "rope_parameters") ?? section(config, "rope_scaling")!;
  return gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: readRope(config, { theta: 1e6, maximum: 262144 }) },
    attention: {
      window: c.sliding_window,
      growth: {
        beta: positiveNumber(rope, "llama_4_scaling_beta"),
        original: positiveNumber(rope, "original_max_position_embeddings"),
      },
    },
  });
});

const cwmFields = { ...fields, mlp_bias: truth(false), sliding_window: optional(whole(), 8192) };

const cwmRope = {
  ...{ rope_type: "llama3", rope_theta: 1e6, factor: 16, original_max_position_embeddings: 8192 },
  ...{ high_freq_factor: 4, low_freq_factor: 1 },
};

export const cwm = decoderFamily("cwm", cwmFields, (c, config) => {
  const types = layerTypes(config, c.num_hidden_layers, (i) => i % 4 !== 0);
  return gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: readRope(withRope(config, cwmRope), { theta: 1e6, maximum: 131072 }) },
    mlp: { bias: switched("mlp_bias", c) },
    at: slides(types, c.sliding_window),
  });
});

const hunyuanFields = {
  ...{ ...sizes, rms_norm_eps: positive(1e-5), attention_bias: truth(false), attention_dropout: dropout },
  ...{ use_qk_norm: only(true), use_cla: only(false) },
};

/** A rope that is called dynamic and has an `alpha` is a plain one of a larger base. */
function withoutAlpha(config: ModelConfig, headWidth: number): ModelConfig {
  const parameters = section(config, "rope_scaling") ?? section(config, "rope_parameters") ?? {};
  const alpha = present(parameters, "alpha");
  if ((parameters.rope_type ?? parameters.type) !== "dynamic" || alpha === undefined) return config;
  const base = positiveNumber({ rope_theta: config.rope_theta, ...parameters }, "rope_theta", 10000);
  const rope_theta = base * positiveNumber(parameters, "alpha") ** (headWidth / (headWidth - 2));
  return { ...config, rope_scaling: undefined, rope_parameters: { rope_type: "default", rope_theta } };
}

export const hunyuan = decoderFamily("hunyuan_v1_dense", hunyuanFields, (c, config) =>
  gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: readRope(withoutAlpha(config, headSizes(c, true).headWidth), { maximum: 2048 }) },
    attention: {
      names: {
        ...{ q_proj: "query", k_proj: "key", v_proj: "value", o_proj: "output" },
        ...{ query_layernorm: "query norm", key_layernorm: "key norm" },
      },
      norms: { ...rms(c.rms_norm_eps), heads: "one gain", behindRope: true },
      bias: both(switched("attention_bias", c)),
    },
  }),
);
