/** The Kronecker product of two operators: on x as a matrix of vectors, one factor acts on its rows and the other on its columns. */
import type { Builder } from "../builder.ts";
import type { Node } from "../graph.ts";
import { operatorLevel } from "../ops/common.ts";
import { operatorType } from "../types.ts";
import { transposeOfPair } from "./entrywise.ts";
import { asOperator, at, leadingOf, matrixOf } from "./helpers.ts";
import { entrywiseFlops, inOf, type OperatorLowering, type OperatorRecord, outOf, vectorsOf } from "./record.ts";

/** Whether the second factor goes first, and what the cheaper order costs. */
function cheaperOrder(l: OperatorLowering, { inputs }: Node, vectors: number): { secondFirst: boolean; flops: number } {
  const [a, b] = inputs as [number, number];
  const [first, second] = [l.builder.operator(a), l.builder.operator(b)];
  const secondFirst = l.flops(b, vectors * first.in) + l.flops(a, vectors * second.out);
  const firstFirst = l.flops(a, vectors * second.in) + l.flops(b, vectors * first.out);
  return { secondFirst: secondFirst <= firstFirst, flops: Math.min(secondFirst, firstFirst) };
}

function applied(l: OperatorLowering, node: Node, x: number): number {
  const { builder } = l;
  const [a, b] = node.inputs as [number, number];
  const leading = leadingOf(builder, x);
  const rank = leading.length;
  const swap = (value: number): number => builder.transpose(value, [...leading.keys(), rank + 1, rank]);
  const onRows = (value: number): number => swap(l.apply(a, swap(value)));
  const matrix = builder.reshape(x, [...leading, builder.operator(a).in, builder.operator(b).in]);
  const { secondFirst } = cheaperOrder(l, node, vectorsOf(builder, x));
  const made = secondFirst ? onRows(l.apply(b, matrix)) : l.apply(b, onRows(matrix));
  return builder.reshape(made, [...leading, outOf(node)]);
}

function denseOf(b: Builder, first: number, second: number): number {
  const [[m, n], [p, q]] = [b.shape(first), b.shape(second)] as [[number, number], [number, number]];
  const product = b.mul(b.reshape(first, [m, 1, n, 1]), b.reshape(second, [1, p, 1, q]));
  return b.reshape(product, [m * p, n * q]);
}

export const kronecker: OperatorRecord = {
  ...operatorLevel,
  name: "op.kron",
  arity: 2,
  doc: "Kronecker product: every entry of the first operator times the second.",
  infer: (inputs) => {
    const [a, b] = [asOperator("op.kron", inputs, 0), asOperator("op.kron", inputs, 1)];
    return operatorType(a.out * b.out, a.in * b.in);
  },
  matrix: (node, [a, b]) => {
    const [o, n] = b!.shape as [number, number];
    const entry = (i: number, j: number): number => at(a!, Math.floor(i / o), Math.floor(j / n)) * at(b!, i % o, j % n);
    return matrixOf(outOf(node), inOf(node), entry);
  },
  transpose: transposeOfPair,
  apply: applied,
  dense: (l, { inputs }) => denseOf(l.builder, l.dense(inputs[0]!), l.dense(inputs[1]!)),
  flops: (l, node, vectors) => cheaperOrder(l, node, vectors).flops,
  denseFlops: entrywiseFlops,
  examples: [{ inputs: [operatorType(2, 3), operatorType(3, 2)] }],
};
