/** RoAd: pairs of outputs are rotated and scaled. arXiv 2409.00119. */

import { withTargets } from "../config/profiles.ts";
import { makesOperator } from "../lib/builtin.ts";
import type { MethodRecord } from "../record.ts";

export const road = {
  line: 9,
  text: `method road on linear {
  W' = R @ W;
  b' = R @ b;
  let R = diag(first) + diag(second) @ turn(out, g);
  let first = flatten(one ? concat(1, straight, straight) : straight), second = flatten(one ? concat(1, across, across) : across);
  let straight = reshape(c, shape)[:, 0, :], across = reshape(s, shape)[:, four ? 1 : 0, :];
  let c = alpha .* cos(theta), s = alpha .* sin(theta), shape = [out / g, four ? 2 : 1, one ? g / 2 : g];
  param theta[one ? out / 2 : four ? 2 * out : out] = init_weights ? zeros : normal(0, 0.5) at "road_theta";
  param alpha[one ? out / 2 : four ? 2 * out : out] = init_weights ? ones : normal(1, 0.5) at "road_alpha";
  let near = divisors_around(out, group_size), one = variant == "road_1", four = variant == "road_4", g = group_size;
  config variant: string = "road_1" (one_of: ["road_1", "road_2", "road_4"]) "one angle and scale for a pair, one for each output, or two",
         group_size: int = 64 (above: 0) "outputs in a group; entry i of its first half is paired with entry i of its second",
         init_weights: bool = true "false: normal instead of no rotation";
  require divides(2, group_size) else "The group_size must be divisible by 2 when using RoadLayer, but got {group_size}.";
  require divides(group_size, out)
    else "The out_features of the base layer must be divisible by group_size ({group_size}) when using RoadLayer." help "Nearest divisors: {near}.";
}`,
  profile: { className: "RoadConfig", shared: [...withTargets, "init_weights"], linearOnly: true },
  builtins: [
    makesOperator(
      "turn",
      { size: "count", group: "count" },
      "A quarter turn, (a, b) to (-b, a), of all pairs: entries at one place of the two halves of a group.",
      ({ size, group }, b, context) => {
        if (group % 2 !== 0 || size % group !== 0)
          throw context.fail("The groups do not fill the vector.", `an even divisor of ${size}`, String(group));
        return b.add("op.turn", [], { size, group });
      },
    ),
  ],
} satisfies MethodRecord;
