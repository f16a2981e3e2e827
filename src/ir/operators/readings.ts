/** Where operators end: what is made of them is a tensor. */
import type { Value } from "../op-record.ts";
import { asTensor, operatorLevel, requireThat } from "../ops/common.ts";
import { tensor } from "../types.ts";
import { asOperator, at, matrixOf } from "./helpers.ts";
import { throughPart } from "./per-part.ts";
import type { ReadingRecord } from "./record.ts";
import { rowNorm } from "./row-norm.ts";

const dot = (operator: Value, row: number, x: Value, vector: number): number => {
  const width = operator.shape[1]!;
  let sum = 0;
  for (let k = 0; k < width; k++) sum += at(operator, row, k) * x.data[vector * width + k]!;
  return sum;
};

/** Tensor [..., out] of vectors, from their entries. */
function vectors(leading: readonly number[], out: number, entry: (vector: number, row: number) => number): Value {
  const count = leading.reduce((product, n) => product * n, 1);
  return { shape: [...leading, out], data: matrixOf(count, out, entry).data };
}

export const readings: readonly ReadingRecord[] = [
  {
    ...operatorLevel,
    name: "op.apply",
    arity: 2,
    doc: "x [..., in] through an operator: [..., out].",
    infer: (inputs) => {
      const type = asOperator("op.apply", inputs, 0);
      const x = asTensor("op.apply", inputs[1]);
      requireThat(x.shape.at(-1) === type.in && x.dtype === "f32", "op.apply", `f32[..., ${type.in}]`, inputs);
      return tensor("f32", [...x.shape.slice(0, -1), type.out]);
    },
    eval: ([operator, x]) =>
      vectors(x!.shape.slice(0, -1), operator!.shape[0]!, (vector, row) => dot(operator!, row, x!, vector)),
    lower: (l, [operator, x], scope) => l.applyCheapest(operator!, x!, scope),
  },
  {
    ...operatorLevel,
    name: "op.apply_part",
    arity: 3,
    attributes: { parts: "integer" },
    doc: "x f32[t, r, in] through one of the equal parts of an operator's rows, by numbers i32[t]: [t, r, out / parts]. Attribute: parts.",
    infer: (inputs, attributes) => {
      const type = asOperator("op.apply_part", inputs, 0);
      const [x, numbers] = [asTensor("op.apply_part", inputs[1]), asTensor("op.apply_part", inputs[2])];
      const parts = attributes.parts as number;
      const fits = x.dtype === "f32" && x.shape.length === 3 && x.shape[2] === type.in && type.out % parts === 0;
      const numbered = numbers.dtype === "i32" && numbers.shape.length === 1 && numbers.shape[0] === x.shape[0];
      requireThat(fits && numbered, "op.apply_part", `f32[t, r, ${type.in}] and i32[t]`, inputs);
      return tensor("f32", [x.shape[0]!, x.shape[1]!, type.out / parts]);
    },
    eval: ([operator, x, numbers], attributes) => {
      const [count, rows] = x!.shape as [number, number];
      const out = operator!.shape[0]! / (attributes.parts as number);
      return vectors([count, rows], out, (vector, row) =>
        dot(operator!, numbers!.data[Math.floor(vector / rows)]! * out + row, x!, vector),
      );
    },
    lower: (l, [operator, x, numbers], _scope, attributes) =>
      throughPart(l, operator!, x!, numbers!, attributes.parts as number),
  },
  {
    ...operatorLevel,
    name: "op.lookup",
    arity: 2,
    doc: "Columns of an operator by i32 numbers [...s]: [...s, out].",
    infer: (inputs) => {
      const type = asOperator("op.lookup", inputs, 0);
      const ids = asTensor("op.lookup", inputs[1]);
      requireThat(ids.dtype === "i32", "op.lookup", "an operator and i32 numbers of its columns", inputs);
      return tensor("f32", [...ids.shape, type.out]);
    },
    eval: ([operator, ids]) =>
      vectors(ids!.shape, operator!.shape[0]!, (vector, row) => at(operator!, row, ids!.data[vector]!)),
    lower: (l, [operator, ids]) => l.columns(operator!, ids!),
  },
  {
    ...operatorLevel,
    name: "op.to_dense",
    arity: 1,
    doc: "The operator as a matrix [out, in].",
    infer: (inputs) => {
      const type = asOperator("op.to_dense", inputs, 0);
      return tensor("f32", [type.out, type.in]);
    },
    eval: ([operator]) => operator!,
    lower: (l, [operator]) => l.dense(operator!),
  },
  {
    ...operatorLevel,
    name: "op.row_norm",
    arity: 1,
    doc: "Euclidean norm of every row of the operator: [out]; expanded, never through the dense matrix.",
    infer: (inputs) => tensor("f32", [asOperator("op.row_norm", inputs, 0).out]),
    eval: ([operator]) => {
      const [out, width] = operator!.shape as [number, number];
      const norm = (i: number): number => Math.hypot(...operator!.data.subarray(i * width, (i + 1) * width));
      return { shape: [out], data: Float64Array.from({ length: out }, (_unused, i) => norm(i)) };
    },
    lower: (l, [operator]) => rowNorm(l, operator!),
  },
];
