/** Quarter turns of pairs: what a rotation adds to a scaled vector. */
import type { Builder } from "../builder.ts";
import { requireThat } from "../ops/common.ts";
import { operatorType } from "../types.ts";
import { identityMatrix, leadingOf, matrixOf } from "./helpers.ts";
import { inOf, leaf } from "./record.ts";

/** (a, b) -> (-b, a) for the halves of every group; `sign` -1 turns the other way. */
function turned(builder: Builder, x: number, group: number, sign: 1 | -1): number {
  const [leading, width] = [leadingOf(builder, x), builder.shape(x).at(-1)!];
  const shape = [...leading, width / group, 2, group / 2];
  const pairs = builder.reshape(x, shape);
  const axis = leading.length + 1;
  const half = (which: number): number =>
    builder.slice(
      pairs,
      shape.map((_n, i) => (i === axis ? which : 0)),
      shape.map((n, i) => (i === axis ? which + 1 : n)),
    );
  const [first, second] = [half(0), half(1)];
  const parts = sign === 1 ? [builder.neg(second), first] : [second, builder.neg(first)];
  return builder.reshape(builder.concat(parts, axis), [...leading, width]);
}

/** -1 where the first of a pair takes the second, 1 where the second takes the first. */
function turnEntry(i: number, j: number, group: number): number {
  const half = group / 2;
  if (i % group < half) return j === i + half ? -1 : 0;
  return j === i - half ? 1 : 0;
}

export const turn = leaf({
  name: "op.turn",
  arity: 0,
  attributes: { size: "integer", group: "integer" },
  doc: "A quarter turn of every pair (place j of the first half of a group, place j of its second half): (a, b) -> (-b, a). Attributes: size, group (even, divides size).",
  infer: (inputs, attributes) => {
    const [size, group] = [attributes.size as number, attributes.group as number];
    requireThat(group >= 2 && group % 2 === 0 && size % group === 0, "op.turn", "even groups that fill size", inputs);
    return operatorType(size, size);
  },
  matrix: (node) => matrixOf(inOf(node), inOf(node), (i, j) => turnEntry(i, j, node.attributes.group as number)),
  apply: ({ builder }, { attributes }, x) => turned(builder, x, attributes.group as number, 1),
  applyTransposed: ({ builder }, { attributes }, x) => turned(builder, x, attributes.group as number, -1),
  dense: ({ builder }, node) =>
    turned(builder, identityMatrix(builder, inOf(node)), node.attributes.group as number, -1),
  flopsPerVector: (_builder, node) => inOf(node),
  examples: [
    { inputs: [], attributes: { size: 6, group: 2 } },
    { inputs: [], attributes: { size: 8, group: 4 } },
  ],
});
