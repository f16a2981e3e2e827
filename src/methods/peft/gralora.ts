/** GraLoRA: a grid of small low-rank blocks, every input block connected with every output block. arXiv 2505.20355. */
import { everything, without } from "../config/profiles.ts";
import type { MethodRecord } from "../record.ts";

export const gralora = {
  line: 8,
  calls: 12,
  text: `method gralora on linear {
  W' = W + alpha / (r + hybrid_r) * (hybrid_r > 0 ? grid + D @ C : grid) @ dropout(gralora_dropout);
  let grid = blockdiag(B.T) @ shuffle([k, k, r / k], [1, 0, 2]) @ blockdiag(A.T);
  param A[k, in / k, r] = uniform(-sqrt(k / in), sqrt(k / in)) at "gralora_A";
  param B[k, r, out / k] = init_weights ? zeros : uniform(-sqrt(1 / r), sqrt(1 / r)) at "gralora_B";
  param C[hybrid_r, in] = kaiming_uniform at "gralora_A_general.weight" when hybrid_r > 0;
  param D[out, hybrid_r] = init_weights ? zeros : kaiming_uniform at "gralora_B_general.weight" when hybrid_r > 0;
  let k = gralora_k;
  config r: int = 32 (above: 0) "rank of a row of blocks",
         alpha: float = 64 "scale of the update, divided by r + hybrid_r",
         gralora_k: int = 2 (above: 0) "blocks along either side",
         hybrid_r: int = 0 (minimum: 0) "rank of a plain low-rank update beside the blocks",
         gralora_dropout: float = 0 (minimum: 0, maximum: 1) "dropout on the input of the update",
         init_weights: bool = true "false: B is random too";
  require divides(k, r) else "r should be divisible by gralora_k, but got {r} and {k}";
  require divides(k, in) else "in_features should be divisible by gralora_k, but got {in} and {k}";
  require divides(k, out) else "out_features should be divisible by gralora_k, but got {out} and {k}";
  require gralora_dropout < 1 else "gralora_dropout must be below 1.";
}`,
  profile: { className: "GraloraConfig", shared: without(everything, "exclude_modules") },
} satisfies MethodRecord;
