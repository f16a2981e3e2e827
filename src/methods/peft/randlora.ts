/** RandLoRA: a sum of many frozen random bases of low rank, each scaled by trained diagonals. arXiv 2502.00987. */
import { everything, without } from "../config/profiles.ts";
import type { MethodRecord } from "../record.ts";

export const randlora = {
  line: 8,
  calls: 18,
  text: `method randlora on linear {
  W' = W + randlora_alpha / r * (out >= in ? V @ U : U.T @ V.T) @ dropout(randlora_dropout);
  let V = matrix(reshape(B[:high, :n, :], [high, n * r]));
  // PEFT's pairing: the factors count (k, b) on the trained side and (b, k) on the other.
  let U = matrix(reshape(reshape(lambda, [r, n, 1]) .* A[:, :, :low] .* gamma, [r * n, low]));
  stream rng = torch_generator(projection_prng_key);   // A is drawn first, then B
  shared A[r, 1, small] = torch_bases(rng, sparsity) at "base_model.randlora_A" also "randlora_A" save if save_projection;
  shared B[large, ceil(small / r), r] = torch_bases(rng, sparsity) at "base_model.randlora_B" also "randlora_B" save if save_projection;
  param lambda[r, n] = init_weights ? zeros : normal(0, 1) at "randlora_lambda";
  param gamma[n, low] = fill(1 / (init_weights ? max(n, low) : high)) at "randlora_gamma";
  let small = min(sites.max.in, sites.max.out), large = max(sites.max.in, sites.max.out);
  let low = min(in, out), high = max(in, out), n = ceil(low / r), sparsity = very_sparse ? sqrt(small) : sparse ? 3 : 0;
  config r: int = 32 (above: 0) "rank of a basis; a smaller one means more bases and more parameters",
         randlora_alpha: float = 640 "scale of the update, divided by r",
         projection_prng_key: int = 0 "seed of the bases",
         save_projection: bool = true "write the bases to the file",
         sparse: bool = false "bases of -1, 0 and 1, a third of them not 0",
         very_sparse: bool = false "one in sqrt(width) not 0; wins over sparse",
         randlora_dropout: float = 0 (minimum: 0, maximum: 1) "dropout on the input of the update",
         init_weights: bool = true "false: lambda normal instead of zero";
  require save_projection
    warn "Specified to not save basis_A and basis_B within the state dictionary, instead they will be restored using the PRNG key store in \`config.projection_prng_key\`. Consider setting \`config.save_projection\` to \`True\` to guarantee restoring the checkpoint correctly on all system configurations.";
  require randlora_dropout < 1 else "randlora_dropout must be below 1.";
}`,
  profile: { className: "RandLoraConfig", shared: without(everything, "exclude_modules"), compatibleName: "RandLora" },
  files: { rebuilt: ["randlora_A", "randlora_B"], heldIf: "save_projection" },
} satisfies MethodRecord;
