/** Products: factor by factor or through matrices of adjacent factors, whichever costs less. */

import type { Value } from "../op-record.ts";
import { operatorLevel, requireThat } from "../ops/common.ts";
import { operatorType } from "../types.ts";
import { asOperator, at, leadingBroadcast, matrixOf } from "./helpers.ts";
import { type Cut, cheapestCut, distributed, flopsAround, productFlops, type Term } from "./product-cost.ts";
import { type OperatorLowering, type OperatorRecord, vectorsOf } from "./record.ts";

function product(a: Value, b: Value): Value {
  return matrixOf(a.shape[0]!, b.shape[1]!, (i, j) => {
    let sum = 0;
    for (let k = 0; k < a.shape[1]!; k++) sum += at(a, i, k) * at(b, k, j);
    return sum;
  });
}

const inSequence = (l: OperatorLowering, factors: readonly number[], x: number): number =>
  factors.reduceRight((value, factor) => l.apply(factor, value), x);

/** x through factors, and times a scalar, which is applied where the vectors are shortest. */
function applyCut(l: OperatorLowering, cut: Cut, scalar: number | undefined, x: number): number {
  const operators = cut.runs.map((run) => (run.length === 1 ? run[0]! : l.builder.dense(denseProduct(l, run))));
  const widths = operators.map((operator) => l.builder.operator(operator).out);
  const shortest = widths.indexOf(Math.min(...widths));
  const short = inSequence(l, operators.slice(shortest), x);
  const scaled = scalar === undefined ? short : l.builder.mul(short, scalar);
  return inSequence(l, operators.slice(0, shortest), scaled);
}

/** x through factors in the cheapest way, times a scalar. */
export const applyFactors = (l: OperatorLowering, { factors, scalar }: Term, x: number): number =>
  applyCut(l, cheapestCut(l, factors, vectorsOf(l.builder, x)), scalar, x);

function applyProduct(l: OperatorLowering, factors: readonly number[], x: number): number {
  const vectors = vectorsOf(l.builder, x);
  const cut = cheapestCut(l, factors, vectors);
  const spread = distributed(l, factors, vectors);
  if (spread === undefined || cut.flops <= spread.flops) return applyCut(l, cut, undefined, x);
  return spread.terms.map((term) => applyFactors(l, term, x)).reduce((a, b) => l.builder.plus(a, b));
}

/** The matrix of a product, built around the factor from which that costs least. */
export function denseProduct(l: OperatorLowering, factors: readonly number[]): number {
  if (factors.length === 1) return l.dense(factors[0]!);
  const costs = factors.map((_factor, i) => flopsAround(l, factors, i));
  const around = costs.indexOf(Math.min(...costs));
  const start = l.dense(factors[around]!);
  const right = factors.slice(around + 1).reduce((rows, factor) => l.apply(l.transposed(factor), rows), start);
  if (around === 0) return right;
  const left = inSequence(l, factors.slice(0, around), l.builder.transpose(right, [1, 0]));
  return l.builder.transpose(left, [1, 0]);
}

/** Columns of A B: A applied to columns of B; where those have one entry at most, columns of A times that entry. */
function productColumns(l: OperatorLowering, factors: readonly number[], ids: number): number {
  const { builder } = l;
  const [last, ...before] = [...factors].reverse();
  if (before.length === 0) return l.columns(last!, ids);
  const rest = before.length === 1 ? before[0]! : builder.add("op.compose", before.reverse());
  const entry = l.columnEntry(last!, ids);
  if (entry === undefined) return l.apply(rest, l.columns(last!, ids));
  const columns = l.columns(rest, entry.row);
  if (entry.factor === undefined) return columns;
  return builder.mul(columns, leadingBroadcast(builder, entry.factor, builder.shape(columns)));
}

export const compose: OperatorRecord = {
  ...operatorLevel,
  name: "op.compose",
  arity: "variadic",
  doc: "Product: op.compose(A, B) x = A (B x).",
  infer: (inputs) => {
    const types = inputs.map((_type, i) => asOperator("op.compose", inputs, i));
    const fits = types.every((t, i) => i === 0 || types[i - 1]!.in === t.out);
    requireThat(fits, "op.compose", "operators whose sizes chain", inputs);
    return operatorType(types[0]!.out, types.at(-1)!.in);
  },
  matrix: (_node, factors) => factors.reduce(product),
  transpose: {
    name: "transpose-of-product",
    doc: "(A B).T -> B.T A.T",
    rewrite: (b, id, transposed) => b.add("op.compose", [...b.node(id).inputs].reverse().map(transposed)),
  },
  apply: (l, { inputs }, x) => applyProduct(l, inputs, x),
  dense: (l, { inputs }) => denseProduct(l, inputs),
  columns: (l, { inputs }, ids) => productColumns(l, inputs, ids),
  flops: (l, { inputs }, vectors) =>
    Math.min(cheapestCut(l, inputs, vectors).flops, distributed(l, inputs, vectors)?.flops ?? Number.POSITIVE_INFINITY),
  denseFlops: (l, { inputs }) => productFlops(l, inputs),
  examples: [
    { inputs: [operatorType(3, 2), operatorType(2, 5)] },
    { inputs: [operatorType(4, 4), operatorType(4, 2), operatorType(2, 6)] },
  ],
};
