/** Diagonals, the identity among them. */
import { f32, operatorType } from "../types.ts";
import { diagonalOf, floatShape, identityMatrix } from "./helpers.ts";
import { inOf, leaf, type TransposeRule } from "./record.ts";

export const transposeOfSymmetric: TransposeRule = {
  name: "transpose-of-symmetric",
  doc: "diag(d).T -> diag(d); I.T -> I; dropout.T -> dropout; gate(g).T -> gate(g)",
  rewrite: (_builder, id) => id,
};

export const identity = leaf({
  name: "op.identity",
  arity: 0,
  attributes: { size: "integer" },
  doc: "Identity. Attribute: size.",
  infer: (_inputs, attributes) => operatorType(attributes.size as number, attributes.size as number),
  matrix: (node) => diagonalOf(inOf(node), () => 1),
  transpose: transposeOfSymmetric,
  apply: (_lowering, _node, x) => x,
  dense: ({ builder }, node) => identityMatrix(builder, inOf(node)),
  columnEntry: (_lowering, _node, ids) => ({ row: ids }),
  flopsPerVector: () => 0,
  examples: [{ inputs: [], attributes: { size: 4 } }],
});

export const diagonal = leaf({
  name: "op.diag",
  arity: 1,
  doc: "Diagonal operator from its entries [n].",
  infer: (inputs) => {
    const [n] = floatShape("op.diag", inputs, "f32[n]");
    return operatorType(n!, n!);
  },
  matrix: (node, [entries]) => diagonalOf(inOf(node), (i) => entries!.data[i]!),
  transpose: transposeOfSymmetric,
  apply: ({ builder }, { inputs }, x) => builder.mul(x, inputs[0]!),
  dense: ({ builder }, node) => builder.mul(identityMatrix(builder, inOf(node)), node.inputs[0]!),
  columnEntry: ({ builder }, { inputs }, ids) => ({ row: ids, factor: builder.add("gather", [inputs[0]!, ids]) }),
  flopsPerVector: (_builder, node) => inOf(node),
  examples: [{ inputs: [f32(5)] }],
});
