/** Bone: what MiSS was called before PEFT 0.19, which reads its files no more. arXiv 2409.15371. */
import { usual } from "../config/profiles.ts";
import type { MethodRecord } from "../record.ts";

export const bone = {
  line: 7,
  text: `method bone on linear {
  W' = bat ? matrix(reshape(changed, [out, in])) : W + M.T @ fold(in, r);
  let changed = blocks + einsum("oaib,obc->oaic", blocks, D) + reshape(D, [out / r, r, 1, r]);
  let blocks = reshape(dense(W), [out / r, r, in / r, r]);
  param M[r, out] = init_weights == false ? kaiming_uniform : zeros at "bone_block" when not bat;
  param D[out / r, r, r] = zeros at "bone_block" when bat;
  let bat = init_weights == "bat";
  config r: int = 64 (above: 0, seed: 8) "rows of the matrix that is repeated",
         init_weights: any = true "true or false: a whole row of blocks, zero or random; \\"bat\\": blocks that multiply those of the weight";
  require bat or init_weights == true or init_weights == false
    else "Unknown init_weights: {init_weights}" help "Use true, false or \\"bat\\".";
  require false save "PEFT reads BONE files before 0.19 only; MiSS is what took the place of Bone."
    help "Use peft_type MISS for adapters that PEFT is to load.";
  require loaded or r <= in else "\`r\` ({r}) must be less than or equal to in_features ({in})";
  require not bat or (divides(r, in) and divides(r, out)) else "The weight matrix must be fully divisible into [r, r] blocks.";
}`,
  profile: { className: "BoneConfig", shared: usual, checks: "bc", linearOnly: true },
} satisfies MethodRecord;
