/** The entrywise product of two operators: through its matrix, or as a product of low rank where that is cheaper. */
import type { Builder } from "../builder.ts";
import type { Node } from "../graph.ts";
import { operatorLevel, requireThat } from "../ops/common.ts";
import { operatorType } from "../types.ts";
import { asOperator, at, matrixOf } from "./helpers.ts";
import { denseProduct } from "./product.ts";
import { productFlops } from "./product-cost.ts";
import {
  entrywiseFlops,
  foldedFlops,
  inOf,
  type OperatorLowering,
  type OperatorRecord,
  outOf,
  type TransposeRule,
  vectorsOf,
} from "./record.ts";
import { factorsOf } from "./view.ts";

/** An operator of low rank as a product of two parts, cut where the vectors are shortest. */
interface Halves {
  readonly left: readonly number[];
  readonly right: readonly number[];
  readonly rank: number;
}

function halvesOf(builder: Builder, id: number): Halves | undefined {
  const factors = factorsOf(builder, id);
  if (factors.length < 2) return undefined;
  const widths = factors.slice(0, -1).map((factor) => builder.operator(factor).in);
  const rank = Math.min(...widths);
  const cut = widths.indexOf(rank) + 1;
  return { left: factors.slice(0, cut), right: factors.slice(cut), rank };
}

/** (a b) .* (c d) of low ranks is a product of rank |ab| |cd|, whose factors are row by row and column by column products. */
function lowRank(l: OperatorLowering, node: Node, vectors: number) {
  const [first, second] = node.inputs.map((input) => halvesOf(l.builder, input));
  if (first === undefined || second === undefined) return undefined;
  const work = first.rank * second.rank * (outOf(node) + inOf(node));
  const parts = [first.left, first.right, second.left, second.right];
  const building = parts.reduce((sum, part) => sum + productFlops(l, part), work);
  return { first, second, flops: (building + 2 * work * vectors) * l.weight(node.inputs) };
}

/** Products of all pairs of rows (axis 0) or columns (axis 1) of two matrices: pair (i, j) stands at i q + j. */
function pairs(b: Builder, first: number, second: number, axis: 0 | 1): number {
  const [p, q] = [b.shape(first)[axis]!, b.shape(second)[axis]!];
  const other = b.shape(first)[1 - axis]!;
  const shaped = (id: number, m: number, n: number): number =>
    b.reshape(id, axis === 0 ? [m, n, other] : [other, m, n]);
  const product = b.mul(shaped(first, p, 1), shaped(second, 1, q));
  return b.reshape(product, axis === 0 ? [p * q, other] : [other, p * q]);
}

const throughMatrix = (l: OperatorLowering, node: Node, vectors: number): number =>
  foldedFlops(l, node, vectors, entrywiseFlops(l, node));

const dense = (l: OperatorLowering, { inputs }: Node): number =>
  l.builder.mul(l.dense(inputs[0]!), l.dense(inputs[1]!));

export const transposeOfPair: TransposeRule = {
  name: "transpose-of-pair",
  doc: "(A .* B).T -> A.T .* B.T; kron(A, B).T -> kron(A.T, B.T)",
  rewrite: (b, id, transposed) => b.add(b.node(id).op, b.node(id).inputs.map(transposed)),
};

export const hadamard: OperatorRecord = {
  ...operatorLevel,
  name: "op.hadamard",
  arity: 2,
  doc: "Entrywise product of two operators of one size.",
  infer: (inputs) => {
    const [a, b] = [asOperator("op.hadamard", inputs, 0), asOperator("op.hadamard", inputs, 1)];
    requireThat(a.out === b.out && a.in === b.in, "op.hadamard", "operators of one size", inputs);
    return a;
  },
  matrix: (node, [a, b]) => matrixOf(outOf(node), inOf(node), (i, j) => at(a!, i, j) * at(b!, i, j)),
  transpose: transposeOfPair,
  apply: (l, node, x) => {
    const { builder } = l;
    const vectors = vectorsOf(builder, x);
    const low = lowRank(l, node, vectors);
    if (low === undefined || (l.fold && throughMatrix(l, node, vectors) <= low.flops))
      return l.apply(builder.dense(dense(l, node)), x);
    const { first, second } = low;
    const right = pairs(builder, denseProduct(l, first.right), denseProduct(l, second.right), 0);
    const left = pairs(builder, denseProduct(l, first.left), denseProduct(l, second.left), 1);
    return l.apply(builder.dense(left), l.apply(builder.dense(right), x));
  },
  dense,
  flops: (l, node, vectors) =>
    Math.min(throughMatrix(l, node, vectors), lowRank(l, node, vectors)?.flops ?? Number.POSITIVE_INFINITY),
  denseFlops: entrywiseFlops,
  examples: [{ inputs: [operatorType(3, 4), operatorType(3, 4)] }],
};
