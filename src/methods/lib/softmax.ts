/** Softmax along the last axis: over all entries, the largest ones, or those that are not 0. */
import type { Builder } from "../../ir/builder.ts";
import { type Builtin, makesTensor } from "./builtin.ts";

/** The axes before the last one, and what has one entry for each of their places as wide as x. */
function alongLast(b: Builder, x: number): { readonly last: number; readonly wide: (id: number) => number } {
  const shape = b.shape(x);
  const leading = [...shape.keys()].slice(0, -1);
  return { last: leading.length, wide: (id) => b.broadcast(id, shape, leading) };
}

/** 1 at the `count` largest entries of every vector along the last axis, of equal ones at the first; else 0. */
export function largestEntries(b: Builder, x: number, count: number): { mask: number; most: number } {
  const shape = b.shape(x);
  const { last, wide } = alongLast(b, x);
  const most = (id: number): number => b.max(id, [last]);
  // Numbers that fall along the axis: the largest of some belongs to the first of them.
  const order = b.sub(b.constant(shape.at(-1)!, shape), b.cast(b.iota(shape, last), "f32"));
  const [zero, gone] = [b.zerosLike(x), b.constant(-3e38, shape)];
  let [left, mask] = [x, zero];
  for (let i = 0; i < count; i++) {
    const candidates = b.select(b.add("eq", [left, wide(most(left))]), order, zero);
    const chosen = b.add("eq", [candidates, wide(most(candidates))]);
    mask = b.plus(mask, b.cast(chosen, "f32"));
    left = b.select(chosen, gone, left);
  }
  return { mask, most: most(x) };
}

export const softmaxBuiltins: readonly Builtin[] = [
  makesTensor("softmax", { x: "tensor" }, "Softmax along the last axis.", ({ x }, b) => {
    const { last, wide } = alongLast(b, x);
    const most = b.add("stop_gradient", [b.max(x, [last])]);
    const powers = b.add("exp", [b.sub(x, wide(most))]);
    return b.div(powers, wide(b.sum(powers, [last])));
  }),
  makesTensor(
    "top_k_softmax",
    { x: "tensor", k: "count" },
    "Softmax over the k largest entries along the last axis, of equal ones the first; 0 at the others, and no gradient to them.",
    ({ x, k }, b, context) => {
      const width = b.shape(x).at(-1) ?? 0;
      if (k > width) throw context.fail("There are not as many entries.", `at most ${width}`, String(k));
      const { last, wide } = alongLast(b, x);
      const { mask, most } = largestEntries(b, b.add("stop_gradient", [x]), k);
      const powers = b.mul(b.add("exp", [b.sub(x, wide(most))]), mask);
      return b.div(powers, wide(b.sum(powers, [last])));
    },
  ),
  makesTensor(
    "softmax_nonzero",
    { x: "tensor" },
    "Softmax along the last axis over the entries that are not 0; 0 at those that are.",
    ({ x }, b) => {
      const { last, wide } = alongLast(b, x);
      const alive = b.add("not", [b.compare("eq", x, b.zerosLike(x))]);
      const given = b.select(alive, x, b.constantLike(x, -3e38));
      const most = b.add("stop_gradient", [b.max(given, [last])]);
      const powers = b.select(alive, b.add("exp", [b.sub(given, wide(most))]), b.zerosLike(x));
      const total = b.sum(powers, [last]);
      // Where no entry is left there is nothing to divide.
      return b.div(powers, wide(b.add("maximum", [total, b.constantLike(total, 1e-30)])));
    },
  ),
];
