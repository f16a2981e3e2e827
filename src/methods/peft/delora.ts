/** DeLoRA: a low-rank update of unit components, whose strength is trained apart. arXiv 2503.18225. */
import { usual } from "../config/profiles.ts";
import type { MethodRecord } from "../record.ts";

export const delora = {
  line: 8,
  calls: 8,
  text: `method delora on linear {
  W' = W + B @ diag(lambda / r / (a .* c)) @ A @ diag(widths) @ dropout(module_dropout);
  let a = root(at_least(sum(A .* A, [1]), 1e-8)), c = root(at_least(sum(B .* B, [0]), 1e-8));
  param A[r, in] = kaiming_uniform at "delora_A";
  param B[out, r] = init_weights ? zeros : kaiming_uniform at "delora_B";
  param lambda[1] = fill(delora_lambda) at "delora_lambda";
  buffer widths[in] = rownorm(W0.T) at "delora_w_norm";
  config r: int = 8 (above: 0, pattern: rank_pattern) "rank of the update",
         delora_lambda: float = 15 (pattern: lambda_pattern) "first value of the strength",
         module_dropout: float = 0 (minimum: 0, maximum: 1) "dropout on the input of the update",
         init_weights: bool = true "false: B is random too",
         rank_pattern: int_map = {}, lambda_pattern: float_map = {};
  require module_dropout < 1 else "module_dropout must be below 1.";
}`,
  profile: { className: "DeloraConfig", shared: usual, checks: "ab", linearOnly: true },
} satisfies MethodRecord;
