/** BOFT: the rotation is a product of butterfly factors, and the output gets a scale. arXiv 2311.06243. */
import type { MethodRecord } from "../record.ts";

export const boft = {
  line: 7,
  calls: 6,
  text: `method boft on linear {
  W' = diag(s) @ W @ G;
  let G = prod(i: 0..f, P: butterfly(i, H), P @ blockdiag(Q[i].T) @ P.T);   // (B_{f-1} ... B_0).T
  let Q = block_dropout(cayley((R - R.T) / 2), boft_dropout);
  param R[f, g, H, H] = init_weights ? zeros : normal(0, 0.1) at "boft_R";
  param s[out, 1] = init_weights ? ones : normal(1, 0.1) at "boft_s" as row;
  let f = boft_n_butterfly_factor, size = boft_block_size, num = boft_block_num, span = power(2, f - 1);
  let near_num = divisors_around(in, num), near_size = divisors_around(in, size), H = num != 0 ? in / num : size, g = in / H;
  config boft_block_size: int = 4 (minimum: 0) "width of a block",
         boft_block_num: int = 0 (minimum: 0) "number of blocks",
         boft_n_butterfly_factor: int = 1 (minimum: 1) "number of factors; 1 is plain blocks",
         boft_dropout: float = 0 (minimum: 0, maximum: 1) "part of the blocks of one factor that is left out",
         init_weights: bool = true "false: normal instead of zeros and ones";
  require size != 0 or num != 0
    else "Either \`boft_block_size\` or \`boft_block_num\` must be non-zero. Currently, boft_block_size = {size} and boft_block_num = {num}.";
  require size == 0 or num == 0
    else "You can only specify either boft_block_size ({size}) or boft_block_num ({num}), but not both simultaneously, because boft_block_size x boft_block_num == in_features.";
  require num == 0 or divides(num, in) else "in_features ({in}) must be divisible by boft_block_num ({num})!"
    help "Nearest divisors: {near_num}.";
  require size == 0 or divides(size, in) else "in_features ({in}) must be divisible by boft_block_size ({size})!"
    help "Nearest divisors: {near_size}.";
  require f == 1 or num == 0 or divides(span, num)
    else "boft_block_num ({num}) must be a multiple of 2 raised to the power of boft_n_butterfly_factor - 1 ({span})!";
  require f == 1 or size == 0 or divides(size * span, in)
    else "in_features ({in}) must be a multiple of boft_block_size ({size}) times 2 raised to the power of boft_n_butterfly_factor - 1 ({span})!";
  require f == 1 or divides(2, H) else "With more than one factor the width of a block ({H}) must be even!";
}`,
  profile: { className: "BOFTConfig", checks: "a", linearOnly: true, patches: true },
  files: { carried: ["boft_P"] },
} satisfies MethodRecord;
