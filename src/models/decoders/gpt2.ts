/** GPT-2, GPT BigCode and OPT: learned positions, and no rotary embedding. */

import { activation, dropout, layersOf, only, optional, positive, type Read, truth, whole } from "../fields.ts";
import { withBias, withMean } from "../layers.ts";
import type { Names } from "../module.ts";
import { headWidth } from "../shapes.ts";
import type { AttentionSpec, StackRole } from "../spec.ts";
import { both, decoderFamily, gatedDecoder, sizes, switched } from "./common.ts";

const gptFields = {
  ...{
    n_embd: whole(768),
    n_head: whole(12),
    n_layer: layersOf(12),
    n_inner: optional(whole()),
    n_positions: whole(1024),
  },
  ...{ vocab_size: whole(50257), layer_norm_epsilon: positive(1e-5), activation_function: activation("gelu_new") },
  ...{ tie_word_embeddings: truth(true), scale_attn_weights: truth(true), add_cross_attention: only(false) },
  ...{ attn_pdrop: dropout, embd_pdrop: dropout, resid_pdrop: dropout },
};

const gpt2Fields = { ...gptFields, scale_attn_by_inverse_layer_idx: truth(false) };

const gpt2Layer = { ln_1: "before attention", attn: "attention", ln_2: "before mlp", mlp: "mlp" } as const;

/** What both of GPT-2's kind have, by its names of fields. */
function gptDecoder(
  c: Read<typeof gptFields>,
  keyHeads: number,
  attention: Partial<AttentionSpec>,
  transposed: boolean,
) {
  const sizesOf = {
    ...{ ...c, hidden_size: c.n_embd, num_attention_heads: c.n_head, num_hidden_layers: c.n_layer },
    ...{ intermediate_size: c.n_inner ?? 4 * c.n_embd, max_position_embeddings: c.n_positions },
    num_key_value_heads: keyHeads,
  };
  return gatedDecoder(sizesOf, {
    norm: withMean(c.layer_norm_epsilon),
    ropes: {},
    names: {
      path: ["transformer"],
      parts: { wte: "embedding", wpe: "positions", drop: "silent", h: "layers", ln_f: "norm" },
      ...{ head: "lm_head", tokenClassifier: "classifier" },
    },
    positions: { offset: 0, counted: false },
    attention: { bias: both(withBias), transposed, ...attention },
    mlp: {
      names: { c_fc: "up", c_proj: "down", act: "silent", dropout: "silent" },
      ...{ bias: withBias, transposed, activation: c.activation_function },
    },
    layer: { names: gpt2Layer },
  });
}

/** Weights are stored as [in, out] (`Conv1D`). */
export const gpt2 = decoderFamily(
  "gpt2",
  gpt2Fields,
  (c) => {
    const scale = c.scale_attn_weights ? 1 / Math.sqrt(headWidth(c.n_embd, c.n_head, "n_embd, n_head")) : 1;
    const names = { c_attn: "joint", c_proj: "output", attn_dropout: "silent", resid_dropout: "silent" } as const;
    const decoder = gptDecoder(c, c.n_head, { names }, true);
    const scaleAt = (i: number): number => (c.scale_attn_by_inverse_layer_idx ? scale / (i + 1) : scale);
    const layers = decoder.layers.map((layer, i) => ({
      ...layer,
      attention: { ...layer.attention, scale: scaleAt(i) },
    }));
    return { ...decoder, layers };
  },
  { layerField: "n_layer", architecture: "LMHeadModel" },
);

const bigcodeFields = { ...gptFields, activation_function: activation("gelu_pytorch_tanh"), multi_query: truth(true) };

/** All queries share one head of keys, or each has its own; then one layer makes them head by head. */
export const gptBigcode = decoderFamily(
  "gpt_bigcode",
  bigcodeFields,
  (c) => {
    const scale = c.scale_attn_weights ? 1 / Math.sqrt(headWidth(c.n_embd, c.n_head, "n_embd, n_head")) : 1;
    const names = { c_attn: "joint", c_proj: "output", resid_dropout: "silent" } as const;
    const rows = c.multi_query ? "all" : "by key head";
    return gptDecoder(c, c.multi_query ? 1 : c.n_head, { names, rows, scale }, false);
  },
  { layerField: "n_layer" },
);

const { intermediate_size: _inner, hidden_act: _act, ...optSizes } = sizes;

const optFields = {
  ...{ ...optSizes, ffn_dim: whole(3072), activation_function: activation("relu"), enable_bias: truth(true) },
  ...{
    word_embed_proj_dim: optional(whole()),
    do_layer_norm_before: truth(true),
    _remove_final_layer_norm: truth(false),
  },
  ...{ tie_word_embeddings: truth(true), layer_norm_elementwise_affine: truth(true) },
  ...{ dropout, attention_dropout: dropout, layerdrop: dropout },
};

/** Its norms stand before the parts of a layer, or behind the sums; positions are those of unpadded tokens, from the third row on. */
export const opt = decoderFamily("opt", optFields, (fields) => {
  const { num_key_value_heads: _all, head_dim: _from, ...c } = { ...fields, intermediate_size: fields.ffn_dim };
  const before = c.do_layer_norm_before;
  const ends: Names<StackRole> = before && !c._remove_final_layer_norm ? { final_layer_norm: "norm" } : {};
  const bias = switched("enable_bias", c);
  const { word_embed_proj_dim: width = c.hidden_size } = c;
  return gatedDecoder(c, {
    norm: { ...withMean(1e-5), plain: !c.layer_norm_elementwise_affine },
    ropes: {},
    names: {
      path: ["model", "decoder"],
      parts: {
        ...{ embed_tokens: "embedding", embed_positions: "positions", project_out: "project out" },
        ...{ project_in: "project in", ...ends, layers: "layers" },
      },
      head: "lm_head",
    },
    positions: { offset: 2, counted: true },
    ...(width === c.hidden_size ? {} : { embeddingWidth: width, projection: { after: "table", bias: false } }),
    attention: {
      names: { k_proj: "key", v_proj: "value", q_proj: "query", out_proj: "output" },
      bias: both(bias),
    },
    layer: {
      names: {
        ...{ self_attn: "attention", activation_fn: "silent" },
        self_attn_layer_norm: before ? "before attention" : "sum attention",
        ...{ fc1: "up", fc2: "down" },
        final_layer_norm: before ? "before mlp" : "sum mlp",
      },
    },
    mlp: { bias, activation: c.activation_function },
  });
});
