/** What the records of operators share: types of their inputs, matrices of numbers, and views of vectors. */
import type { Builder } from "../builder.ts";
import type { Value } from "../op-record.ts";
import { asTensor, isFloat, requireThat } from "../ops/common.ts";
import type { OperatorType, Type } from "../types.ts";

/** The type of an input that has to be an operator. */
export function asOperator(op: string, inputs: readonly Type[], at: number): OperatorType {
  const type = inputs[at];
  requireThat(type?.kind === "operator", op, "an operator", inputs);
  return type as OperatorType;
}

/** The shape of the only input: f32 with an axis for every name in `expected`, as in `f32[out,in]`. */
export function floatShape(op: string, inputs: readonly Type[], expected: string): readonly number[] {
  const type = asTensor(op, inputs[0]);
  requireThat(isFloat(type, expected.split(",").length), op, expected, inputs);
  return type.shape;
}

export function matrixOf(rows: number, columns: number, entry: (i: number, j: number) => number): Value {
  const data = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) data[i * columns + j] = entry(i, j);
  return { shape: [rows, columns], data };
}

/** An entry of a matrix. */
export const at = (m: Value, i: number, j: number): number => m.data[i * m.shape[1]! + j]!;

export const diagonalOf = (size: number, entry: (i: number) => number): Value =>
  matrixOf(size, size, (i, j) => (i === j ? entry(i) : 0));

/** Names for leading axes in an einsum; others begin with g. */
export const leadingLetters = (rank: number): string => "abcdef".slice(0, rank);

/** The axes of x [..., n] before its last. */
export const leadingOf = (builder: Builder, x: number): readonly number[] => builder.shape(x).slice(0, -1);

/** The n x n identity matrix. */
export function identityMatrix(builder: Builder, n: number): number {
  const isDiagonal = builder.add("eq", [builder.iota([n, n], 0), builder.iota([n, n], 1)]);
  return builder.cast(isDiagonal, "f32");
}

/** A tensor repeated over the axes behind its own. */
export const leadingBroadcast = (builder: Builder, x: number, shape: readonly number[]): number =>
  builder.broadcast(x, shape, [...builder.shape(x).keys()]);
