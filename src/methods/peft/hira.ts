/** HiRA: the weight itself, entry by entry times a matrix of low rank, is the update. arXiv 2408.15792. */
import { everything, without } from "../config/profiles.ts";
import type { MethodRecord } from "../record.ts";

export const hira = {
  line: 8,
  calls: 2,
  text: `method hira on linear {
  W' = W + hadamard(W0, B @ A) @ dropout(hira_dropout);
  param A[r, in] = init_weights == true ? kaiming_uniform : normal(0, gaussian ? 1 / r : 1) at "hira_A" as kernel;
  param B[out, r] = fresh ? zeros : normal(0, 1) at "hira_B" as pointwise;
  let gaussian = init_weights == "gaussian", fresh = init_weights == true or gaussian;
  config r: int = 32 (above: 0, pattern: rank_pattern) "rank of the factor",
         hira_dropout: float = 0 (minimum: 0, maximum: 1) "dropout on the input of the update",
         init_weights: any? = true "true: B is zero; \\"gaussian\\": and A normal; false or null: both normal",
         rank_pattern: int_map = {};
  require fresh or init_weights == false or init_weights == null
    else "Unknown initialization init_weights={init_weights}" help "Use true, false or \\"gaussian\\".";
  require hira_dropout < 1 else "hira_dropout must be below 1.";
}`,
  profile: { className: "HiraConfig", shared: without(everything, "bias"), checks: "bc", patches: true },
} satisfies MethodRecord;
