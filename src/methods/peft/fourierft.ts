/** FourierFT: trained entries of a sparse spectrum; the update is the real part of its inverse DFT. arXiv 2405.03003. */
import { usualTargets } from "../config/defaults.ts";
import type { MethodRecord } from "../record.ts";

export const fourierft = {
  line: 7,
  text: `method fourierft on linear {
  W' = W + scaling / entries * (cos(u) @ diag(c) @ cos(v).T - sin(u) @ diag(c) @ sin(v).T);
  let entries = in * out, u = angles(rows, out), v = angles(columns, in);   // u[p, k] = 2 pi u_k p / out
  stream rng = torch_generator(random_loc_seed);
  const places[n_frequency] = torch_randperm(rng, in * out, n_frequency);
  const rows[n_frequency] = quotient(places, in);
  const columns[n_frequency] = remainder(places, in);
  param c[n_frequency] = init_weights ? zeros : normal(0, 1) at "fourierft_spectrum";
  config n_frequency: int = 1000 (above: 0, pattern: n_frequency_pattern) "trained entries of the spectrum",
         scaling: float = 150 (seed: 300) "scale of the update",
         random_loc_seed: int = 777 "seed of their places",
         n_frequency_pattern: int_map = {}, init_weights: bool = false "true: zeros instead of normal";
  require n_frequency <= in * out
    else "\`n_frequency\` should be less than or equal to the product of the input and output dimensions but the value passed is {n_frequency} and the product is {entries}";
}`,
  profile: { className: "FourierFTConfig", checks: "abc", dottedPatterns: true },
  targets: { ...usualTargets, gpt2: ["mlp.c_proj"] },
} satisfies MethodRecord;
