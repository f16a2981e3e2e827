/** VeRA: frozen random matrices that all layers share, and two trained vectors per layer. arXiv 2310.11454. */
import { usualTargets } from "../config/defaults.ts";
import { everything, without } from "../config/profiles.ts";
import type { MethodRecord } from "../record.ts";

export const vera = {
  line: 9,
  calls: 5,
  text: `method vera on linear {
  W' = W + diag(c) @ B[:out, :] @ diag(d) @ A[:, :in] @ dropout(vera_dropout);
  stream rng = torch_generator(projection_prng_key);   // A is drawn first, then B
  shared A[r, sites.max.in]  = torch_kaiming_uniform(rng) at "base_model.vera_A" save if save_projection;
  shared B[sites.max.out, r] = torch_kaiming_uniform(rng) at "base_model.vera_B" save if save_projection;
  param c[out] = init_weights ? zeros : ones at "vera_lambda_b";
  param d[r] = init_weights ? fill(d_initial) : normal(0, 1) at "vera_lambda_d";
  config r: int = 256 (above: 0) "width of the shared matrices",
         projection_prng_key: int = 0 "seed of the shared matrices",
         save_projection: bool = true "write the shared matrices to the file",
         vera_dropout: float = 0 (minimum: 0, maximum: 1) "dropout on the input of the update",
         d_initial: float = 0.1 "first value of lambda_d", init_weights: bool = true "false: lambda_d normal, lambda_b ones";
  require save_projection
    warn "Specified to not save vera_A and vera_B within the state dictionary, instead they will be restored using the PRNG key stored in \`config.projection_prng_key\`. Consider setting \`config.save_projection\` to \`True\` to guarantee restoring the checkpoint correctly on all system configurations.";
  require vera_dropout < 1 else "vera_dropout must be below 1.";
}`,
  profile: {
    className: "VeraConfig",
    shared: without(everything, "exclude_modules"),
    checks: "a",
    compatibleName: "VeRA",
  },
  targets: { ...usualTargets, phi: ["q_proj", "v_proj"] },
  files: {
    rebuilt: ["vera_A", "vera_B"],
    heldIf: "save_projection",
    missing: "Specified to load vera_A and vera_B from state dictionary however they were not present!",
  },
} satisfies MethodRecord;
