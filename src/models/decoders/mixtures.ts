/** Decoders with experts in the place of MLPs: Mixtral, Qwen's mixtures, OLMoE. */
import { positiveInteger, present, wrong } from "../config.ts";
import {
  dropout,
  type Field,
  natural,
  optional,
  positive,
  positiveOrZero,
  type Read,
  truth,
  whole,
  wholes,
} from "../fields.ts";
import { rms, withoutBias } from "../layers.ts";
import type { ModelConfig } from "../model.ts";
import type { Names } from "../module.ts";
import { readRope } from "../rope-config.ts";
import type { MoeRole, MoeSpec } from "../spec.ts";
import {
  both,
  decoderFamily,
  gatedDecoder,
  layerTypes,
  mlpNames,
  normedAttentionNames,
  sizes,
  slides,
  switched,
} from "./common.ts";

const fields = {
  ...{ ...sizes, attention_dropout: dropout, rms_norm_eps: positive(1e-6) },
  ...{ output_router_logits: truth(false), router_aux_loss_coef: positiveOrZero(0.001) },
};

type Fields = Read<typeof fields>;

/** The factor of the balancing term, which is part of the loss only where the router's logits are asked for. */
const balance = (c: Fields): number | undefined => (c.output_router_logits ? c.router_aux_loss_coef : undefined);

const names: Names<MoeRole> = { gate: "router", experts: "experts" };
const stored = { gate: "gate_proj", up: "up_proj", down: "down_proj" };

/** Far more than any model has in all of its layers. Tensors are named expert by expert, before the files can be asked for them. */
const mostExperts = 50_000;

/** How many experts there are, in the spellings of transformers 5 and before, of which a token takes some. */
function expertCounts(config: ModelConfig, experts: number, taken: number): Pick<MoeSpec, "experts" | "taken"> {
  const field = present(config, "num_local_experts") === undefined ? "num_experts" : "num_local_experts";
  const counts = {
    experts: positiveInteger(config, field, experts),
    taken: positiveInteger(config, "num_experts_per_tok", taken),
  };
  const mostInLayer = Math.floor(mostExperts / positiveInteger(config, "num_hidden_layers", 1));
  if (counts.experts > mostInLayer) throw wrong(field, `at most ${mostInLayer} experts in a layer`, counts.experts);
  if (counts.taken <= counts.experts) return counts;
  throw wrong("num_experts_per_tok", `at most the ${counts.experts} experts that there are`, counts.taken);
}

const mixtralFields = {
  ...{ ...fields, rms_norm_eps: positive(1e-5), num_key_value_heads: optional(whole(), 8) },
  ...{ max_position_embeddings: whole(131072), sliding_window: optional(whole()), router_jitter_noise: dropout },
};

export const mixtral = decoderFamily(
  "mixtral",
  mixtralFields,
  (c, config) =>
    gatedDecoder(c, {
      norm: rms(c.rms_norm_eps),
      ropes: { all: readRope(config, { theta: 1e6, maximum: 131072 }) },
      attention: { window: c.sliding_window },
      balance: balance(c),
      mixture: () => ({
        ...{ names, ...expertCounts(config, 8, 2), inner: c.intermediate_size, activation: c.hidden_act },
        ...{ normalised: true, stored: { gate: "w1", up: "w3", down: "w2" } },
      }),
    }),
  { otherKeys: (key) => [key.replace(".mlp.", ".block_sparse_moe.")] },
);

const olmoeFields = {
  ...{ ...fields, rms_norm_eps: positive(1e-5), attention_bias: truth(false), clip_qkv: optional(positive()) },
  ...{ max_position_embeddings: whole(4096), norm_topk_prob: truth(false), router_aux_loss_coef: positiveOrZero(0.01) },
};

export const olmoe = decoderFamily("olmoe", olmoeFields, (c, config) =>
  gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: readRope(config, { maximum: 4096 }) },
    attention: {
      ...{ names: normedAttentionNames, norms: { ...rms(c.rms_norm_eps), heads: "at once" } },
      ...{ bias: both(switched("attention_bias", c)), clip: c.clip_qkv },
    },
    balance: balance(c),
    mixture: () => ({
      ...{ names, ...expertCounts(config, 64, 8), inner: c.intermediate_size, activation: c.hidden_act },
      ...{ normalised: c.norm_topk_prob, stored },
    }),
  }),
);

/** Where no layer has a window, transformers writes 0. */
const qwenWindow: Field<number | undefined> = (config, name, sink) =>
  config[name] === 0 && config.use_sliding_window !== true ? undefined : optional(whole(), 4096)(config, name, sink);

const qwenFields = {
  ...{ ...fields, max_position_embeddings: whole(32768), norm_topk_prob: truth(false) },
  ...{ use_sliding_window: truth(false), sliding_window: qwenWindow },
  ...{ decoder_sparse_step: whole(1), mlp_only_layers: optional(wholes, []) },
};

/** Experts in every `decoder_sparse_step`-th layer, but for those that `mlp_only_layers` names. */
const inSparseLayers =
  (c: Read<typeof qwenFields>, spec: MoeSpec) =>
  (index: number): MoeSpec | undefined =>
    (c.mlp_only_layers ?? []).includes(index) || (index + 1) % c.decoder_sparse_step !== 0 ? undefined : spec;

const qwen2Fields = {
  ...{ ...qwenFields, num_key_value_heads: optional(whole(), 16), qkv_bias: truth(true) },
  ...{ moe_intermediate_size: whole(1408), shared_expert_intermediate_size: whole(5632) },
  max_window_layers: optional(natural, 28),
};

export const qwen2Moe = decoderFamily("qwen2_moe", qwen2Fields, (c, config) => {
  const { use_sliding_window: slidesAtAll, max_window_layers: last = 28 } = c;
  const types = layerTypes(config, c.num_hidden_layers, (i) => slidesAtAll && i % 2 === 0 && i < last);
  const layer = { activation: c.hidden_act, bias: withoutBias };
  return gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: readRope(config, { maximum: 32768 }) },
    attention: { bias: [switched("qkv_bias", c), withoutBias] },
    at: slides(types, slidesAtAll ? c.sliding_window : undefined),
    balance: balance(c),
    mixture: inSparseLayers(c, {
      names: { ...names, shared_expert: "shared", shared_expert_gate: "shared gate" },
      ...{ ...expertCounts(config, 60, 4), inner: c.moe_intermediate_size, activation: c.hidden_act },
      ...{ normalised: c.norm_topk_prob, stored },
      shared: { ...layer, names: mlpNames, inner: c.shared_expert_intermediate_size },
    }),
  });
});

const qwen3Fields = {
  ...{ ...qwenFields, num_key_value_heads: optional(whole(), 4), attention_bias: truth(false) },
  moe_intermediate_size: whole(768),
};

/** Where it is used, all layers have the window. */
export const qwen3Moe = decoderFamily("qwen3_moe", qwen3Fields, (c, config) =>
  gatedDecoder(c, {
    norm: rms(c.rms_norm_eps),
    ropes: { all: readRope(config, { maximum: 32768 }) },
    attention: {
      ...{ names: normedAttentionNames, norms: { ...rms(c.rms_norm_eps), heads: "one gain" } },
      ...{ bias: both(switched("attention_bias", c)), window: c.use_sliding_window ? c.sliding_window : undefined },
    },
    balance: balance(c),
    mixture: inSparseLayers(c, {
      names: { experts: "experts", gate: "router" },
      ...{ ...expertCounts(config, 128, 8), inner: c.moe_intermediate_size, activation: c.hidden_act },
      ...{ normalised: c.norm_topk_prob, stored },
    }),
  }),
);
