/** GPT-NeoX, Falcon and BLOOM: one layer makes queries, keys and values, head by head. */

import { activation, dropout, layersOf, only, optional, positive, truth, whole } from "../fields.ts";
import { withBias, withMean } from "../layers.ts";
import type { Names } from "../module.ts";
import { readRope } from "../rope-config.ts";
import { headWidth } from "../shapes.ts";
import type { AttentionSpec, LayerRole } from "../spec.ts";
import { both, decoderFamily, gatedDecoder, sizes, switched } from "./common.ts";

const neoxFields = {
  ...{ ...sizes, layer_norm_eps: positive(1e-5), hidden_act: activation("gelu"), attention_bias: truth(true) },
  ...{ use_parallel_residual: truth(true), attention_dropout: dropout, hidden_dropout: dropout },
};

export const gptNeox = decoderFamily(
  "gpt_neox",
  neoxFields,
  (fields, config) => {
    const { num_key_value_heads: _all, head_dim: _from, ...c } = fields;
    const names = { theta: "rotary_emb_base", fraction: "rotary_pct" };
    return gatedDecoder(c, {
      norm: withMean(c.layer_norm_eps),
      ropes: { all: readRope(config, { fraction: 0.25, maximum: 2048, names }) },
      names: {
        path: ["gpt_neox"],
        parts: {
          ...{ embed_in: "embedding", emb_dropout: "silent", layers: "layers" },
          ...{ final_layer_norm: "norm", rotary_emb: "rope" },
        },
        ...{ head: "lm_head", tokenClassifier: "classifier" },
      },
      attention: {
        ...{ names: { query_key_value: "joint", dense: "output" }, rows: "by key head" },
        ...{ bias: both(switched("attention_bias", c)) },
      },
      mlp: { names: { dense_h_to_4h: "up", dense_4h_to_h: "down", act: "silent" }, bias: withBias },
      layer: {
        names: {
          ...{ input_layernorm: "before attention", post_attention_layernorm: "before mlp" },
          ...{ post_attention_dropout: "silent", post_mlp_dropout: "silent", attention: "attention", mlp: "mlp" },
        },
        parallel: c.use_parallel_residual,
      },
    });
  },
  { otherKeys: (key) => [key.replace(/^lm_head\./, "embed_out.")] },
);

const falconFields = {
  ...{
    vocab_size: whole(65024),
    hidden_size: whole(4544),
    num_hidden_layers: layersOf(32),
    num_attention_heads: whole(71),
  },
  ...{
    num_ln_in_parallel_attn: optional(whole()),
    layer_norm_epsilon: positive(1e-5),
    num_kv_heads: optional(whole()),
  },
  ...{
    alibi: truth(false),
    new_decoder_architecture: truth(false),
    multi_query: truth(true),
    parallel_attn: truth(true),
  },
  ...{ bias: truth(false), max_position_embeddings: whole(2048), ffn_hidden_size: optional(whole()) },
  ...{ activation: activation("gelu"), tie_word_embeddings: truth(true) },
  ...{ hidden_dropout: dropout, attention_dropout: dropout },
};

/** Three generations: many key heads, one, and groups of queries with a key head each. */
export const falcon = decoderFamily("falcon", falconFields, (f, config) => {
  const heads = f.num_attention_heads;
  const grouped = f.new_decoder_architecture;
  const keyHeads = grouped ? (f.num_kv_heads ?? heads) : f.multi_query ? 1 : (f.num_kv_heads ?? heads);
  const c = {
    ...{ ...f, num_key_value_heads: keyHeads, intermediate_size: f.ffn_hidden_size ?? 4 * f.hidden_size },
    hidden_act: f.activation,
  };
  const parallel = grouped || f.parallel_attn;
  const twoNorms = grouped && (f.num_ln_in_parallel_attn ?? 2) === 2;
  const norms: Names<LayerRole> = !parallel
    ? { post_attention_layernorm: "before mlp", input_layernorm: "before attention" }
    : twoNorms
      ? { ln_attn: "before attention", ln_mlp: "before mlp" }
      : { input_layernorm: "before attention" };
  // Its scores are divided with what is added to them.
  const scale = headWidth(c.hidden_size, heads, "hidden_size, num_attention_heads") ** -0.5;
  const ofPlaces: Partial<AttentionSpec> = { rope: undefined, scores: { kind: "alibi", scale, rounded: true } };
  return gatedDecoder(c, {
    norm: withMean(c.layer_norm_epsilon),
    ropes: { all: readRope(config, { maximum: 2048 }) },
    names: {
      path: ["transformer"],
      parts: { word_embeddings: "embedding", h: "layers", ln_f: "norm", rotary_emb: "rope" },
      ...{ head: "lm_head", tokenClassifier: "classifier" },
    },
    attention: {
      ...{ names: { query_key_value: "joint", dense: "output", attention_dropout: "silent" }, rows: "by key head" },
      ...{ bias: both(switched("bias", c)), ...(f.alibi ? ofPlaces : {}), repeatsKeys: grouped },
    },
    mlp: { names: { dense_h_to_4h: "up", act: "silent", dense_4h_to_h: "down" }, bias: switched("bias", c) },
    layer: { names: { self_attention: "attention", mlp: "mlp", ...norms }, parallel },
  });
});

const bloomFields = {
  ...{ vocab_size: whole(250880), n_layer: layersOf(2), n_head: whole(8), layer_norm_epsilon: positive(1e-5) },
  ...{ n_embed: optional(whole()), hidden_size: optional(whole(), 64), tie_word_embeddings: truth(true) },
  ...{ apply_residual_connection_post_layernorm: only(false), hidden_dropout: dropout, attention_dropout: dropout },
};

/** Scores of places in the place of a rope, and a norm behind the embeddings. Texts may be of any length. */
export const bloom = decoderFamily(
  "bloom",
  bloomFields,
  (f) => {
    const c = {
      ...{ ...f, hidden_size: f.n_embed ?? f.hidden_size ?? 64, num_attention_heads: f.n_head },
      ...{ num_hidden_layers: f.n_layer, max_position_embeddings: Number.MAX_SAFE_INTEGER },
      hidden_act: "gelu_tanh",
    } as const;
    return gatedDecoder(
      { ...c, intermediate_size: 4 * c.hidden_size },
      {
        norm: withMean(c.layer_norm_epsilon),
        ropes: {},
        names: {
          path: ["transformer"],
          parts: {
            ...{ word_embeddings: "embedding", word_embeddings_layernorm: "embedding norm" },
            ...{ h: "layers", ln_f: "norm" },
          },
          ...{ head: "lm_head", tokenClassifier: "classifier" },
        },
        attention: {
          ...{ names: { query_key_value: "joint", dense: "output", attention_dropout: "silent" }, rows: "by key head" },
          ...{ bias: both(withBias), scores: { kind: "alibi", scale: 1, rounded: false } },
        },
        mlp: { names: { dense_h_to_4h: "up", gelu_impl: "silent", dense_4h_to_h: "down" }, bias: withBias },
        layer: {
          names: {
            ...{ input_layernorm: "before attention", self_attention: "attention" },
            ...{ post_attention_layernorm: "before mlp", mlp: "mlp" },
          },
        },
      },
    );
  },
  { layerField: "n_layer" },
);
