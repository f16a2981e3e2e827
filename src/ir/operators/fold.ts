/** Sums of entries whose places are equal mod a size. */
import type { Builder } from "../builder.ts";
import { requireThat } from "../ops/common.ts";
import { operatorType } from "../types.ts";
import { identityMatrix, leadingOf, matrixOf } from "./helpers.ts";
import { inOf, leaf, outOf } from "./record.ts";

function folded(builder: Builder, x: number, size: number): number {
  const [leading, width] = [leadingOf(builder, x), builder.shape(x).at(-1)!];
  const count = Math.ceil(width / size);
  const none = leading.map(() => 0);
  const whole =
    count * size === width ? x : builder.add("pad", [x], { low: [...none, 0], high: [...none, count * size - width] });
  if (count === 1) return whole;
  return builder.sum(builder.reshape(whole, [...leading, count, size]), [leading.length]);
}

/** x repeated, and cut to `width` entries: the transposed of `folded`. */
function tiled(builder: Builder, x: number, width: number): number {
  const [leading, size] = [leadingOf(builder, x), builder.shape(x).at(-1)!];
  const count = Math.ceil(width / size);
  const axes = [...leading.keys()];
  const repeated = count === 1 ? x : builder.broadcast(x, [...leading, count, size], [...axes, leading.length + 1]);
  const flat = builder.reshape(repeated, [...leading, count * size]);
  return builder.slice(flat, [...axes.map(() => 0), 0], [...leading, width]);
}

export const fold = leaf({
  name: "op.fold",
  arity: 0,
  attributes: { in: "integer", size: "integer" },
  doc: "Sum of all entries whose places are equal mod size: y[j] = sum of x[j + k size]. Attributes: in, size. With size above in: x, then zeros.",
  infer: (inputs, attributes) => {
    const [width, size] = [attributes.in as number, attributes.size as number];
    requireThat(width >= 1 && size >= 1, "op.fold", "extents of at least 1", inputs);
    return operatorType(size, width);
  },
  matrix: (node) => matrixOf(outOf(node), inOf(node), (i, j) => (j % outOf(node) === i ? 1 : 0)),
  apply: ({ builder }, node, x) => folded(builder, x, outOf(node)),
  applyTransposed: ({ builder }, node, x) => tiled(builder, x, inOf(node)),
  dense: ({ builder }, node) => tiled(builder, identityMatrix(builder, outOf(node)), inOf(node)),
  flopsPerVector: (_builder, node) => inOf(node),
  examples: [
    { inputs: [], attributes: { in: 6, size: 3 } },
    { inputs: [], attributes: { in: 7, size: 3 } },
    { inputs: [], attributes: { in: 2, size: 5 } },
  ],
});
