/** Builtins on known numbers, lists and texts, and on numbers of the host. */
import { known, tensorValue, type Value } from "../dsl/value.ts";
import { randomPermutation } from "../random/permutation.ts";
import { torchGenerator } from "../random/torch.ts";
import { type Builtin, makesKnown, makesValue } from "./builtin.ts";

/** The nearest divisors of n below and above `wanted`. */
function divisorsAround(n: number, wanted: number): number[] {
  const near = new Set<number>();
  for (let d = Math.min(wanted, n); d >= 1 && near.size < 1; d--) if (n % d === 0) near.add(d);
  for (let d = wanted; d <= n; d++) {
    if (n % d !== 0 || near.has(d)) continue;
    near.add(d);
    break;
  }
  return [...near];
}

/** Whole numbers of the host: index tables that are never saved, because a seed rebuilds them. */
export const whole = (data: Float64Array): Value => ({ kind: "host", array: { data, whole: true } });

export const numberBuiltins: readonly Builtin[] = [
  makesValue(
    "per_adapter",
    { x: "number" },
    "The number itself; in a program that adapters of several sizes share an input, so that it may differ between them.",
    ({ x }, context) => {
      const input = context.setting(x);
      return input === undefined ? known(x) : tensorValue(input);
    },
  ),
  makesKnown(
    "divides",
    { divisor: "number", n: "number" },
    "Whether n is a multiple of divisor; no divisor below 1 divides anything.",
    ({ divisor, n }) => divisor >= 1 && n % divisor === 0,
  ),
  makesKnown(
    "divisors_around",
    { n: "count", wanted: "number" },
    "The nearest divisors of n below and above wanted, as a text for messages.",
    ({ n, wanted }) => divisorsAround(n, Math.max(1, Math.floor(wanted))).join(", "),
  ),
  makesKnown(
    "distinct",
    { values: "counts" },
    "Whether no number of a list is there twice.",
    ({ values }) => new Set(values).size === values.length,
  ),
  makesKnown(
    "all_below",
    { values: "counts", limit: "number" },
    "Whether every number of a list is below limit.",
    ({ values, limit }) => values.every((value) => value < limit),
  ),
  makesKnown("repeated", { x: "number", count: "number" }, "A list that holds a number count times.", ({ x, count }) =>
    new Array<number>(count).fill(x),
  ),
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
