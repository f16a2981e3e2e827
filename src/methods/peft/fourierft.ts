/** FourierFT: trained entries of a sparse spectrum; the update is the real part of its inverse DFT. arXiv 2405.03003. */
import type { Builder } from "../../ir/builder.ts";
import { usualTargets } from "../config/defaults.ts";
import { makesTensor } from "../lib/builtin.ts";
import type { MethodRecord } from "../record.ts";

export const fourierft = {
  line: 9,
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
  targets: { ...usualTargets, gpt2: ["mlp.c_proj"], gpt_bigcode: ["mlp.c_proj"] },
  builtins: [
    makesTensor(
      "angles",
      { frequencies: "tensor", size: "count" },
      "2 pi (p u_k mod size) / size for p in 0 .. size - 1 and whole frequencies u [K]: [size, K], reduced before it is rounded.",
      ({ frequencies, size }, b) => angles(b, frequencies, size),
    ),
  ],
} satisfies MethodRecord;

/** 2 pi (index * frequency mod size) / size, for every index 0 .. size - 1 and frequency: [size, K]. Whole numbers stay below 2^31. */
function angles(b: Builder, frequencies: number, size: number): number {
  const shape = [size, b.shape(frequencies)[0]!];
  const whole = (n: number): number => b.constant(n, shape, "i32");
  const rest = (id: number): number => b.add("mod", [id, whole(size)]);
  const index = b.iota(shape, 0);
  const frequency = b.broadcast(frequencies, shape, [1]);
  const fits = size * size < 2 ** 31;
  // Above 46340 the product would overflow: 256 (index div 256) + index mod 256, each part reduced on its own.
  const low = b.add("mod", [index, whole(256)]);
  const high = b.add("div", [b.add("sub", [index, low]), whole(256)]);
  const product = fits
    ? b.add("mul", [index, frequency])
    : b.add("add", [b.add("mul", [rest(b.add("mul", [high, frequency])), whole(256)]), b.add("mul", [low, frequency])]);
  return b.scale(b.cast(rest(product), "f32"), (2 * Math.PI) / size);
}
