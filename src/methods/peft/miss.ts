/** MiSS: one small matrix, repeated along the input. arXiv 2409.15371. */
import { usual } from "../config/profiles.ts";
import type { MethodRecord } from "../record.ts";

export const miss = {
  line: 8,
  calls: 10,
  text: `method miss on linear {
  W' = bat ? matrix(reshape(changed, [out, in])) : W + rows @ fold(in, r) @ dropout(miss_dropout);
  let changed = blocks + einsum("oaib,obc->oaic", blocks, D) + reshape(D, [out / r, r, 1, r]);
  let blocks = reshape(dense(W), [out / r, r, in / r, r]);
  let rows = mini ? fold(out, mini_r).T @ M.T : matrix(M.T);
  param M[r, mini ? mini_r : out] = init_weights == false ? kaiming_uniform : zeros at "miss_block" when not bat;
  param D[out / r, r, r] = zeros at "miss_block" when bat;
  let bat = init_weights == "bat", mini = init_weights == "mini", whole = init_weights == true or init_weights == false;
  config r: int = 64 (above: 0) "rows of the matrix that is repeated",
         miss_dropout: float = 0 (minimum: 0, maximum: 1) "dropout on the input of the update; none with \\"bat\\"",
         mini_r: int = 1 (above: 0) "columns of the matrix with \\"mini\\", repeated along the output",
         init_weights: any = true "true or false: a whole row of blocks, zero or random; \\"bat\\": blocks that multiply those of the weight; \\"mini\\"";
  require whole or bat or mini else "Unknown init_weights: {init_weights}" help "Use true, false, \\"bat\\" or \\"mini\\".";
  require miss_dropout < 1 else "miss_dropout must be below 1.";
  require loaded or r <= in else "\`r\` ({r}) must be less than or equal to in_features ({in})";
  require not bat or (divides(r, in) and divides(r, out)) else "The weight matrix must be fully divisible into [r, r] blocks.";
  require not mini or divides(mini_r, out) else "mini_r ({mini_r}) must divide out_features ({out})." help "Nearest divisors: {near}.";
  let near = divisors_around(out, mini_r);
}`,
  profile: { className: "MissConfig", shared: usual, checks: "bc", linearOnly: true },
} satisfies MethodRecord;
