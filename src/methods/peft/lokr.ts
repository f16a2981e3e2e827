/** LoKr: the update is a Kronecker product, its factors whole or of low rank. arXiv 2309.14859. */

import { usual, without } from "../config/profiles.ts";
import { makesKnown } from "../lib/builtin.ts";
import type { MethodRecord } from "../record.ts";

export const lokr = {
  line: 10,
  calls: -3,
  text: `method lokr on linear {
  W' = W + drop @ kron(cut1 ? w1_a @ w1_b : matrix(w1), cut2 ? w2_a @ w2_b : matrix(w2));
  param w1[o1, i1] = init_weights == true ? zeros : kaiming_uniform at "lokr_w1" when not cut1;
  param w1_a[o1, r] = init_weights == true ? zeros : kaiming_uniform at "lokr_w1_a" when cut1;
  param w1_b[r, i1] = kaiming_uniform at "lokr_w1_b" when cut1;
  param w2[o2, i2] = late ? zeros : kaiming_uniform at "lokr_w2" when not cut2;
  param w2_a[o2, r] = kaiming_uniform at "lokr_w2_a" when cut2;
  param w2_b[r, i2] = late ? zeros : kaiming_uniform at "lokr_w2_b" when cut2;
  let o1 = kronecker_factor(out, decompose_factor), i1 = kronecker_factor(in, decompose_factor), o2 = out / o1, i2 = in / i1;
  let cut1 = decompose_both and r < max(o1, i1) / 2, cut2 = r < max(o2, i2) / 2, late = init_weights == "lycoris";
  let drop = alpha / r * gate(module_dropout) * row_dropout(rank_dropout, rank_dropout_scale);
  config r: int = 8 (above: 0, pattern: rank_pattern) "rank of a factor that is cut; large factors are cut",
         alpha: float = 8 (pattern: alpha_pattern) "scale of the update, divided by r",
         rank_dropout: float = 0 (minimum: 0, maximum: 1) "part of the update's rows that is left out in a training step",
         rank_dropout_scale: bool = false "divide the rows that are left by their share",
         module_dropout: float = 0 (minimum: 0, maximum: 1) "how often a training step leaves the whole update out",
         decompose_both: bool = false "cut the first factor too",
         decompose_factor: int = -1 (minimum: -1) "extents of the first factor; -1: near the square root",
         use_effective_conv2d: bool = false "for convolutions; no effect on linear layers",
         init_weights: any = true "true: the first factor is 0; \\"lycoris\\": the second; false: neither",
         rank_pattern: int_map = {}, alpha_pattern: float_map = {};
  require not use_effective_conv2d warn "use_effective_conv2d has no effect: it is for convolutions.";
  require init_weights == true or init_weights == false or init_weights == "lycoris"
    else "Unknown init_weights: {init_weights}" help "Use true, false or \\"lycoris\\".";
  require decompose_factor != 0 else "decompose_factor must be -1 or above 0.";
}`,
  profile: { className: "LoKrConfig", shared: without(usual, "bias"), checks: "a", linearOnly: true },
  builtins: [
    makesKnown(
      "kronecker_factor",
      { n: "count", wanted: "number" },
      "The first extent of n as m k: m near the square root of n when wanted is -1, else near wanted.",
      ({ n, wanted }) => kroneckerFactor(n, wanted),
    ),
  ],
} satisfies MethodRecord;

/** The smaller part of n = m k by which LoKr cuts a width: m near the square root, or near `wanted`. Source: PEFT's `factorization`. */
export function kroneckerFactor(n: number, wanted: number): number {
  if (wanted > 0 && n % wanted === 0) return wanted;
  const largest = wanted === -1 ? n : wanted;
  let m = 1;
  while (m < n / m) {
    let next = m + 1;
    while (n % next !== 0) next++;
    if (next + n / next > n + 1 || next > largest) break;
    m = next;
  }
  return Math.min(m, n / m);
}
