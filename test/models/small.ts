/** The settings of a small llama, and how the tests build it. */
import type { BuildOptions } from "../../src/models/index.ts";

export const small = {
  vocab_size: 19,
  hidden_size: 12,
  intermediate_size: 10,
  num_hidden_layers: 2,
  num_attention_heads: 6,
  num_key_value_heads: 2,
  head_dim: 4,
  rms_norm_eps: 1e-5,
  rope_theta: 700,
};

export const options = (more: Partial<BuildOptions> = {}): BuildOptions => ({
  batch: 2,
  length: 7,
  labels: true,
  mask: true,
  weightTypes: () => "f32",
  ...more,
});
