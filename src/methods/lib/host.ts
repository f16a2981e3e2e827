/** Builtins on numbers of the host: index tables that are never saved because a seed rebuilds them. */
import type { Value } from "../dsl/value.ts";
import { randomPermutation } from "../random/permutation.ts";
import { torchGenerator } from "../random/torch.ts";
import { type Builtin, makesValue } from "./builtin.ts";

export const whole = (data: Float64Array): Value => ({ kind: "host", array: { data, whole: true } });

export const hostBuiltins: readonly Builtin[] = [
  makesValue(
    "torch_generator",
    { seed: "known" },
    "PyTorch's CPU generator with a seed; null is a generator that was never seeded.",
    ({ seed }, context) => {
      if (seed !== null && !Number.isSafeInteger(seed))
        throw context.fail("The seed is no whole number.", "a whole number or null");
      return { kind: "stream", generator: torchGenerator(seed === null ? undefined : (seed as number)) };
    },
  ),
  makesValue(
    "torch_randperm",
    { stream: "stream", length: "count", count: "count" },
    "The first count numbers of PyTorch's randperm(length), bit for bit.",
    ({ stream, length, count }, context) => {
      if (count > length)
        throw context.fail("More numbers are wanted than there are.", `at most ${length}`, String(count));
      return whole(randomPermutation(stream, length, count));
    },
  ),
];
