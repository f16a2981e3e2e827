/** OFT: the input of a layer is rotated by orthogonal blocks. arXiv 2306.07280, 2506.19847. */
import type { MethodRecord } from "../record.ts";

export const oft = {
  text: `method oft {
  on linear backwards {   // x @ D_1 @ D_2 of two adapters
    W' = W @ D.T;
    param Q[rows, free] = init_weights ? zeros : normal(0, 0.1) at "oft_R.weight" project if coft blocks_ball(eps);
    let n = in;
  }
  on embedding {   // its output is rotated
    W' = D.T @ W;
    param Q[rows, free] = init_weights ? zeros : normal(0, 0.1) at "oft_embedding_R.weight" project if coft blocks_ball(eps);
    let n = out;
  }
  let D = blockdiag(use_cayley_neumann ? neumann(S, num_cayley_neumann_terms) : cayley(S), g);
  let S = skew(Q, k);
  let wanted = r != 0 ? r : oft_block_size, near = divisor_near(n, wanted);
  let name = r != 0 ? "\`r\`" : "\`oft_block_size\`", k = r != 0 ? n / near : near, g = n / k;
  let around = divisors_around(n, wanted + 1), rows = block_share ? 1 : g, free = k * (k - 1) / 2;
  config r: int = 0 (minimum: 0, seed: present(oft_block_size) ? 0 : 8) "number of blocks",
         oft_block_size: int = 32 (minimum: 0, seed: 0) "width of a block",
         module_dropout: float = 0 (minimum: 0, maximum: 1) "has no effect, as in PEFT",
         coft: bool = false "keep every block near the identity", eps: float = 6e-5 (minimum: 0) "how near, with coft",
         block_share: bool = false "one block for all places of a layer",
         use_cayley_neumann: bool = true "a truncated series instead of an inverse",
         num_cayley_neumann_terms: int = 5 (minimum: 1, maximum: 64), init_weights: bool = true "false: normal instead of zeros";
  require r != 0 or oft_block_size != 0
    else "Either \`r\` or \`oft_block_size\` must be non-zero. Currently, r = {r} and oft_block_size = {oft_block_size}.";
  require r == 0 or oft_block_size == 0
    else "You can only specify either r ({r}) or oft_block_size ({oft_block_size}), but not both simultaneously, because r x oft_block_size == in_features.";
  require peft_version == null or present(oft_block_size)
    else "OFT has been updated since PEFT 0.14.0. Your trained adapter weights are incompatible with the latest version of OFT. Please retrain your adapter weights with newer PEFT versions. Alternatively, downgrade PEFT to version 0.13.0 to use the old adapter weights.";
  require module_dropout == 0 warn "module_dropout = {module_dropout} has no effect: PEFT makes the dropout and never calls it.";
  require not (loaded and use_cayley_neumann and version_before(peft_version, "0.18.0"))
    warn "The series of use_cayley_neumann changed in PEFT 0.18.0: an adapter trained before gives other numbers.";
  require near == wanted warn "Invalid {name} ({wanted})! Adjusted to {near}, the divisor of in_features ({n}) that is nearest.";
  require k > 1 else "Blocks of width 1 have nothing to train: in_features = {n}." help "Divisors near {wanted}: {around}.";
}`,
  profile: { className: "OFTConfig", checks: "a", linearOnly: true, patches: true },
  files: {
    old: {
      part: ".oft_r.",
      message:
        "OFT has been updated since PEFT 0.14.0. Your trained adapter weights are incompatible with the latest version of OFT.",
      expected: "keys that end with oft_R.weight",
    },
  },
} satisfies MethodRecord;
