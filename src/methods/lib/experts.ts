/** Builtins that mix other adapters, and choose among them. */
import type { Builder } from "../../ir/builder.ts";
import { known, operatorValue, tensorValue } from "../dsl/value.ts";
import type { Builtin } from "./builtin.ts";
import { largestEntries } from "./tensors.ts";

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
  {
    name: "mixture",
    parameters: [{ name: "weights", kind: "tensor" }],
    doc: "What the experts add to the weight of the site, each times its weight: a number for all, or along the last axis one for each, which may differ between samples and tokens [samples, tokens, experts].",
    call: (context, args) => {
      const [b, weights, experts] = [context.builder(), args.node("weights"), context.experts()];
      const count = b.shape(weights).at(-1);
      if (count !== undefined && count !== experts.length)
        throw context.fail("mixture wants a weight for every expert.", `${experts.length}`, `${count}`);
      const terms = experts.flatMap((delta, i) => (delta === undefined ? [] : [weighted(b, delta, weights, i)]));
      if (terms.length === 0) throw context.fail("No expert changes this module.");
      return operatorValue(b.add("op.add", terms));
    },
  },
  {
    name: "all_hold",
    parameters: [
      { name: "maps", kind: "known" },
      { name: "key", kind: "text" },
      { name: "value", kind: "known" },
    ],
    doc: "Whether every map of a list has this value under a key.",
    call: (context, args) => {
      const maps = args.known("maps");
      if (!Array.isArray(maps)) throw context.fail("all_hold wants a list of maps.");
      const wanted = JSON.stringify(args.known("value"));
      return known(maps.every((map) => JSON.stringify(map?.[args.text("key")] ?? null) === wanted));
    },
  },
  {
    name: "keep_largest",
    parameters: [
      { name: "x", kind: "tensor" },
      { name: "k", kind: "count" },
    ],
    doc: "The k largest entries along the last axis, of equal ones the first; 0 in place of the others.",
    call: (context, args) => {
      const [b, x, k] = [context.builder(), args.node("x"), args.number("k")];
      if (k >= (b.shape(x).at(-1) ?? 0)) return tensorValue(x);
      return tensorValue(b.mul(x, largestEntries(b, b.add("stop_gradient", [x]), k).mask));
    },
  },
  {
    name: "softmax_nonzero",
    parameters: [{ name: "x", kind: "tensor" }],
    doc: "Softmax along the last axis over the entries that are not 0; 0 at those that are.",
    call: (context, args) => {
      const [b, x] = [context.builder(), args.node("x")];
      const shape = b.shape(x);
      const leading = [...shape.keys()].slice(0, -1);
      const wide = (id: number): number => b.broadcast(id, shape, leading);
      const alive = b.add("not", [b.compare("eq", x, b.zerosLike(x))]);
      const given = b.select(alive, x, b.constantLike(x, -3e38));
      const most = b.add("stop_gradient", [b.max(given, [leading.length])]);
      const powers = b.select(alive, b.add("exp", [b.sub(given, wide(most))]), b.zerosLike(x));
      const total = b.sum(powers, [leading.length]);
      // Where no entry is left there is nothing to divide.
      return tensorValue(b.div(powers, wide(b.add("maximum", [total, b.constantLike(total, 1e-30)]))));
    },
  },
];
