/** Softmax along the last axis: over all entries, the largest ones, or those that are not 0. */
import type { Builder } from "../../ir/builder.ts";
import { type Builtin, makesTensor } from "./builtin.ts";

/** An entry with a softmax of 0, unless all are such. */
const hidden = -3e38;

/** 1 at the `count` largest entries of every vector along the last axis, of equal ones at the first; else 0. */
export function largestEntries(b: Builder, x: number, count: number): number {
  const shape = b.shape(x);
  const last = shape.length - 1;
  const most = (id: number): number => b.broadcast(b.max(id, [last]), shape, [...shape.keys()].slice(0, -1));
  // Numbers that fall along the axis: the largest of some belongs to the first of them.
  const order = b.sub(b.constant(shape.at(-1)!, shape), b.cast(b.iota(shape, last), "f32"));
  const [zero, gone] = [b.zerosLike(x), b.constant(hidden, shape)];
  let [left, mask] = [x, zero];
  for (let i = 0; i < count; i++) {
    const candidates = b.select(b.add("eq", [left, most(left)]), order, zero);
    const chosen = b.add("eq", [candidates, most(candidates)]);
    mask = b.plus(mask, b.cast(chosen, "f32"));
    left = b.select(chosen, gone, left);
  }
  return mask;
}

export const softmaxBuiltins: readonly Builtin[] = [
  makesTensor("softmax", { x: "tensor" }, "Softmax along the last axis.", ({ x }, b) => b.add("softmax", [x])),
  makesTensor(
    "top_k_softmax",
    { x: "tensor", k: "count" },
    "Softmax over the k largest entries along the last axis, of equal ones the first; 0 at the others, and no gradient to them.",
    ({ x, k }, b, context) => {
      const width = b.shape(x).at(-1) ?? 0;
      if (k > width) throw context.fail("There are not as many entries.", `at most ${width}`, String(k));
      const mask = largestEntries(b, b.add("stop_gradient", [x]), k);
      return b.add("softmax", [b.select(b.compare("eq", mask, b.zerosLike(x)), b.constantLike(x, hidden), x)]);
    },
  ),
  makesTensor(
    "softmax_nonzero",
    { x: "tensor" },
    "Softmax along the last axis over the entries that are not 0; 0 at those that are.",
    ({ x }, b) => {
      const zero = b.zerosLike(x);
      const isZero = b.compare("eq", x, zero);
      // A row of zeros has no entry to be divided among, though the op divides it evenly.
      return b.select(isZero, zero, b.add("softmax", [b.select(isZero, b.constantLike(x, hidden), x)]));
    },
  ),
];
