/** LoHa: the update is the entrywise product of two matrices of low rank. arXiv 2108.06098. */
import { usual, without } from "../config/profiles.ts";
import type { MethodRecord } from "../record.ts";

export const loha = {
  line: 8,
  calls: -1,
  text: `method loha on linear {
  W' = W + drop @ hadamard(w1_a @ w1_b, w2_a @ w2_b);
  param w1_a[out, r] = kaiming_uniform at "hada_w1_a";
  param w1_b[r, in] = kaiming_uniform at "hada_w1_b";
  param w2_a[out, r] = kaiming_uniform at "hada_w2_a";
  param w2_b[r, in] = init_weights ? zeros : kaiming_uniform at "hada_w2_b";
  let drop = alpha / r * gate(module_dropout) * row_dropout(rank_dropout);
  config r: int = 8 (above: 0, pattern: rank_pattern) "rank of both factors; the update has rank r^2",
         alpha: float = 8 (pattern: alpha_pattern) "scale of the update, divided by r",
         rank_dropout: float = 0 (minimum: 0, maximum: 1) "part of the update's rows that is left out in a training step",
         module_dropout: float = 0 (minimum: 0, maximum: 1) "how often a training step leaves the whole update out",
         use_effective_conv2d: bool = false "for convolutions; no effect on linear layers",
         init_weights: bool = true "false: w2_b is random too",
         rank_pattern: int_map = {}, alpha_pattern: float_map = {};
  require site.patches or not use_effective_conv2d warn "use_effective_conv2d has no effect: it is for convolutions.";
  require not (site.patches and use_effective_conv2d) else "use_effective_conv2d is not supported.";
}`,
  profile: { className: "LoHaConfig", shared: without(usual, "bias"), checks: "a", linearOnly: true, patches: true },
} satisfies MethodRecord;
