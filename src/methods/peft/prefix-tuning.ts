/** Prefix tuning: trained keys and values in front of those of every attention. arXiv 2101.00190. */
import type { MethodRecord } from "../record.ts";

export const prefixTuning = {
  text: `method prefix_tuning {
  on attention {
    keys' = prefixes[:, own : own + d];
    values' = prefixes[:, own + d : own + 2 * d];
    let own = 2 * d * (two ? 2 * site.index - num_layers * floor(2 * site.index / num_layers) : site.index);
  }
  let prefixes = not prefix_projection ? rows : encoder ? projected : stored;
  shared param rows[p, all] = begins_zero ? zeros : normal at "prompt_embeddings" when not prefix_projection;
  shared param E[p, d] = normal at "prompt_encoder.default.embedding.weight" from encoder when projects;
  shared param W_in[h, d] = kaiming_uniform at "prompt_encoder.default.transform.0.weight" from encoder when projects;
  shared param b_in[h] = uniform(-1 / sqrt(d), 1 / sqrt(d)) at "prompt_encoder.default.transform.0.bias" from encoder when projects;
  shared param W_out[all, h] = begins_zero ? zeros : kaiming_uniform
    at "prompt_encoder.default.transform.2.weight" from encoder when projects;
  shared param b_out[all] = begins_zero ? zeros : uniform(-1 / sqrt(h), 1 / sqrt(h))
    at "prompt_encoder.default.transform.2.bias" from encoder when projects;
  computed projected[p, all] = apply(matrix(W_out), tanh(apply(matrix(W_in), E) + b_in)) + b_out at "prompt_embeddings" when projects;
  shared stored[p, all] = zeros at "prompt_embeddings" when prefix_projection and not encoder;
  let p = num_virtual_tokens, d = token_dim, h = encoder_hidden_size, all = 2 * num_layers * d;
  let two = num_transformer_submodules == 2;   // PEFT takes what every other layer has, twice over
  let projects = prefix_projection and encoder, begins_zero = init_weights == "zero";
  config num_virtual_tokens: int? = null (minimum: 1) "keys and values in front of those of the text",
         prefix_projection: bool = false "keys and values come from a small network", encoder_hidden_size: int? = null "width of that network",
         init_weights: any? = null "zero: zeros instead of normal", token_dim: int? = null "width of the keys of a layer",
         num_transformer_submodules: int? = null "1; 2 for models with encoder and decoder", num_layers: int? = null "layers of the model",
         num_attention_heads: int? = null "heads of the keys";
  require num_virtual_tokens != null else "num_virtual_tokens must be given.";
  require token_dim == out / key_heads * prefix_heads else "token_dim = {token_dim} is not the width of all keys.";
  require num_layers == sites.count or (two and num_layers > sites.count) else "num_layers = {num_layers} is not the number of layers.";
  require num_attention_heads == prefix_heads else "num_attention_heads = {num_attention_heads} is not the number of key heads, {prefix_heads}.";
  require num_transformer_submodules == (encoder_decoder ? 2 : 1)
    else "num_transformer_submodules = {num_transformer_submodules} is not supported: the model has not so many.";
  require (task_type == "SEQ_2_SEQ_LM") == encoder_decoder else "task_type = {task_type} is not what the base model is for.";
  require prefix_projection or encoder_hidden_size == token_dim
    warn "encoder_hidden_size = {encoder_hidden_size} has no effect without prefix_projection.";
  require init_weights == null or init_weights == "zero" else "init_weights = {init_weights} is not supported." help "Use null or \\"zero\\".";
}`,
  profile: { className: "PrefixTuningConfig", shared: ["modules_to_save"], modelFacts: "keys" },
} satisfies MethodRecord;
