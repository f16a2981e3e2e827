/** Builtins that mix other adapters, and choose among them. */
import type { Builder } from "../../ir/builder.ts";
import { type Builtin, makesKnown, makesOperator, makesTensor } from "./builtin.ts";
import { largestEntries } from "./softmax.ts";

/** One expert's delta with its weight: one number for all, or one for every token. */
function weighted(b: Builder, delta: number, weights: number, expert: number): number {
  const shape = b.shape(weights);
  if (shape.length === 0) return b.add("op.scale", [delta, weights]);
  const own = b.slice(
    weights,
    shape.map((_n, axis) => (axis === shape.length - 1 ? expert : 0)),
    shape.map((n, axis) => (axis === shape.length - 1 ? expert + 1 : n)),
  );
  const entries = b.reshape(own, shape.slice(0, -1));
  if (shape.length === 1) return b.add("op.scale", [delta, entries]);
  return b.add("op.compose", [delta, b.add("op.scalar_gate", [entries], { size: b.operator(delta).in })]);
}

export const expertBuiltins: readonly Builtin[] = [
  makesOperator(
    "mixture",
    { weights: "tensor" },
    "What the experts add to the weight of the site, each times its weight: a number for all, or along the last axis one for each, which may differ between samples and tokens [samples, tokens, experts].",
    ({ weights }, b, context) => {
      const [experts, count] = [context.experts(), b.shape(weights).at(-1)];
      if (count !== undefined && count !== experts.length)
        throw context.fail("mixture wants a weight for every expert.", `${experts.length}`, `${count}`);
      const terms = experts.flatMap((delta, i) => (delta === undefined ? [] : [weighted(b, delta, weights, i)]));
      if (terms.length === 0) throw context.fail("No expert changes this module.");
      return b.add("op.add", terms);
    },
  ),
  makesKnown(
    "all_hold",
    { maps: "known", key: "text", value: "known" },
    "Whether every map of a list has this value under a key.",
    ({ maps, key, value }, context) => {
      if (!Array.isArray(maps)) throw context.fail("all_hold wants a list of maps.");
      return maps.every((map) => JSON.stringify(map?.[key] ?? null) === JSON.stringify(value));
    },
  ),
  makesTensor(
    "keep_largest",
    { x: "tensor", k: "count" },
    "The k largest entries along the last axis, of equal ones the first; 0 in place of the others.",
    ({ x, k }, b) =>
      k >= (b.shape(x).at(-1) ?? 0) ? x : b.mul(x, largestEntries(b, b.add("stop_gradient", [x]), k).mask),
  ),
];
