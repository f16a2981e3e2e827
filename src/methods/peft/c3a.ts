/** C3A: the update is a grid of circulant blocks, circular convolutions of parts of the input. arXiv 2407.19342. */

import { usual, without } from "../config/profiles.ts";
import { makesOperator } from "../lib/builtin.ts";
import type { MethodRecord } from "../record.ts";
import { fourierft } from "./fourierft.ts";

export const c3a = {
  line: 10,
  text: `method c3a on linear {
  W' = W + 1 / in * circulant(w);
  param w[out / k, in / k, k] = init_weights == true ? zeros : normals ? normal(0, 1) : uniform(-bound, bound) at "c3a_kernel";
  let k = block_size, near_in = divisors_around(in, k), near_out = divisors_around(out, k);
  let xavier = init_weights == "xavier_uniform" or init_weights == false, normals = init_weights == "gaussian";
  let bound = xavier ? sqrt(6 / (in + out)) : 1 / sqrt(in);
  config block_size: int = 256 (above: 0, pattern: block_size_pattern) "width of a block; divides both widths of the layer",
         init_weights: any? = "xavier_uniform" "\\"xavier_uniform\\" or false, \\"kaiming_uniform\\", \\"gaussian\\"; true: zeros",
         block_size_pattern: int_map = {};
  require divides(k, in) else "The block size should be a factor of the input size. However, the input size is {in} and the block size is {block_size}"
    help "Nearest divisors: {near_in}.";
  require divides(k, out) else "The block size should be a factor of the output size. However, the output size is {out} and the block size is {block_size}"
    help "Nearest divisors: {near_out}.";
  require xavier or normals or init_weights == "kaiming_uniform" or init_weights == true else "Unknown init_weights: {init_weights}";
}`,
  profile: {
    className: "C3AConfig",
    shared: without(usual, "exclude_modules"),
    checks: "bc",
    linearOnly: true,
    dottedPatterns: true,
  },
  targets: fourierft.targets,
  builtins: [
    makesOperator(
      "circulant",
      { w: "tensor" },
      "Circulant blocks from their first rows [out / b, in / b, b]; every further row is turned by one place to the right.",
      ({ w }, b) => b.add("op.circulant", [w]),
    ),
  ],
} satisfies MethodRecord;
