/** WaveFT: trained wavelet coefficients at random places; the update is their inverse transform. arXiv 2505.12532. */
import type { MethodRecord } from "../record.ts";
import { fourierft } from "./fourierft.ts";

export const waveft = {
  line: 7,
  text: `method waveft on linear {
  W' = W + scaling * matrix(spread[:out, :in]);
  let spread = use_idwt ? inverse_haar(grid(rows, columns, c, 2 * ceil(out / 2), 2 * ceil(in / 2))) : grid(rows, columns, c, out, in);
  stream rng = torch_generator(random_loc_seed);
  const places[count] = torch_randperm(rng, entries, count);
  const rows[count] = quotient(places, in);
  const columns[count] = remainder(places, in);
  param c[count] = init_weights ? zeros : normal(0, 0.01) at "waveft_spectrum";
  let share = rounded(in * out / sites.entries * n_frequency * sites.count);
  let count = proportional_parameters ? max(1, share) : n_frequency, entries = in * out;
  config n_frequency: int = 2592 (above: 0, pattern: n_frequency_pattern) "trained coefficients",
         scaling: float = 25 "scale of the update",
         wavelet_family: string = "db1" "only db1 (Haar) is built",
         use_idwt: bool = true "false: the coefficients are entries of the update themselves",
         random_loc_seed: int = 777 "seed of their places",
         proportional_parameters: bool = false "n_frequency is the mean over the layers, larger ones get more",
         n_frequency_pattern: int_map = {}, init_weights: bool = true "false: small normal values instead of zeros";
  require wavelet_family == "db1" else "Wavelet family {wavelet_family} is not built. Supported wavelet families are: db1";
  require count <= entries
    else "\`n_frequency\` should be less than or equal to the product of the input and output dimensions but the value passed is {count} and the product is {entries}";
}`,
  profile: { className: "WaveFTConfig", checks: "abc", dottedPatterns: true },
  targets: fourierft.targets,
} satisfies MethodRecord;
