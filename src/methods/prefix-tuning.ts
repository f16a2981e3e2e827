/** Prefix tuning: trained keys and values in front of those of every attention. arXiv 2101.00190. */
import { lazyMethod } from "./dsl/method.ts";

export const prefixTuning = lazyMethod(
  "prefix_tuning",
  `method prefix_tuning on attention {
  config num_virtual_tokens: int? = null (minimum: 1) "keys and values in front of those of the text",
         prefix_projection: bool = false "keys and values come from a small network", encoder_hidden_size: int? = null "width of that network",
         init_weights: any? = null "zero: zeros instead of normal", token_dim: int? = null "width of the keys of a layer",
         num_transformer_submodules: int? = null "1; 2 for models with encoder and decoder", num_layers: int? = null "layers of the model",
         num_attention_heads: int? = null "heads of the keys";
  require num_virtual_tokens != null else "num_virtual_tokens must be given.";
  require token_dim == out else "token_dim = {token_dim} is not the width of the keys, {out}.";
  require num_layers == sites.count else "num_layers = {num_layers} is not the number of layers.";
  require num_attention_heads == key_heads else "num_attention_heads = {num_attention_heads} is not the number of key heads, {key_heads}.";
  require num_transformer_submodules == 1 else "num_transformer_submodules = {num_transformer_submodules} is not supported: prefixes go to one model.";
  require not prefix_projection else "prefix_projection = true is not supported: PEFT's file does not hold its network."
    help "Set prefix_projection to false to use the stored prefixes, or to train them as they are.";
  require init_weights == null or init_weights == "zero" else "init_weights = {init_weights} is not supported." help "Use null or \\"zero\\".";
  shared param prefixes[num_virtual_tokens, 2 * sites.count * sites.max.out] = init_weights == "zero" ? zeros : normal at "prompt_embeddings";
  let own = 2 * site.index * out;
  keys' = prefixes[:, own : own + out];
  values' = prefixes[:, own + out : own + 2 * out];
}`,
  "prefix-tuning.ts",
);
