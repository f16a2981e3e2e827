/** Blocks on a diagonal. */
import type { Builder } from "../builder.ts";
import { f32, operatorType, sizeOf } from "../types.ts";
import { floatShape, identityMatrix, leadingLetters, leadingOf, matrixOf } from "./helpers.ts";
import { inOf, leaf, outOf } from "./record.ts";

/** Every group of x through its block; `goi` as the blocks are, `gio` transposed. */
function blockwise(builder: Builder, x: number, blocks: number, layout: "goi" | "gio"): number {
  const leading = leadingOf(builder, x);
  const [g, o, i] = builder.shape(blocks) as [number, number, number];
  const [inner, outer] = layout === "goi" ? [i, o] : [o, i];
  const names = leadingLetters(leading.length);
  const split = builder.reshape(x, [...leading, g, inner]);
  const product = builder.einsum(`${names}gi,${layout}->${names}go`, split, blocks);
  return builder.reshape(product, [...leading, g * outer]);
}

export const blockDiagonal = leaf({
  name: "op.blockdiag",
  arity: 1,
  doc: "Block-diagonal operator from its blocks [g, out/g, in/g].",
  infer: (inputs) => {
    const [g, o, i] = floatShape("op.blockdiag", inputs, "f32[g,o,i]");
    return operatorType(g! * o!, g! * i!);
  },
  matrix: (node, [blocks]) => {
    const [, o, n] = blocks!.shape as [number, number, number];
    const inside = (i: number, j: number): boolean => Math.floor(i / o) === Math.floor(j / n);
    return matrixOf(outOf(node), inOf(node), (i, j) => (inside(i, j) ? blocks!.data[i * n + (j % n)]! : 0));
  },
  transpose: {
    name: "transpose-of-blocks",
    doc: "blockdiag(T).T -> blockdiag(T transposed per block)",
    rewrite: (b, id) => b.add("op.blockdiag", [b.transpose(b.node(id).inputs[0]!, [0, 2, 1])]),
  },
  apply: ({ builder }, { inputs }, x) => blockwise(builder, x, inputs[0]!, "goi"),
  applyTransposed: ({ builder }, { inputs }, x) => blockwise(builder, x, inputs[0]!, "gio"),
  dense: ({ builder }, node) => {
    const identity = identityMatrix(builder, inOf(node));
    return builder.transpose(blockwise(builder, identity, node.inputs[0]!, "goi"), [1, 0]);
  },
  flopsPerVector: (b, { inputs }) => 2 * sizeOf(b.shape(inputs[0]!)),
  examples: [{ inputs: [f32(2, 3, 2)] }, { inputs: [f32(1, 3, 3)] }],
});
