/** Entries moved to other places: permutations as views, and a choice of some entries. */
import type { Builder } from "../builder.ts";
import type { Attributes } from "../graph.ts";
import { asTensor, forEachIndex, numbers, requireThat } from "../ops/common.ts";
import { i32, operatorType, sameShape, sizeOf, stridesOf } from "../types.ts";
import { identityMatrix, leadingOf, matrixOf } from "./helpers.ts";
import { inOf, leaf, outOf } from "./record.ts";

interface Shuffle {
  readonly shape: readonly number[];
  readonly permutation: readonly number[];
}

const shuffleOf = (attributes: Attributes): Shuffle => ({
  shape: numbers(attributes, "shape"),
  permutation: numbers(attributes, "permutation"),
});

/** The shuffle that undoes one with these attributes. */
export function undoing(attributes: Attributes): { shape: number[]; permutation: number[] } {
  const { shape, permutation } = shuffleOf(attributes);
  return {
    shape: permutation.map((axis) => shape[axis]!),
    permutation: permutation.map((_axis, i) => permutation.indexOf(i)),
  };
}

function shuffled(builder: Builder, x: number, { shape, permutation }: Shuffle): number {
  const leading = leadingOf(builder, x);
  const split = builder.reshape(x, [...leading, ...shape]);
  const moved = builder.transpose(split, [...leading.keys(), ...permutation.map((axis) => axis + leading.length)]);
  return builder.reshape(moved, [...leading, sizeOf(shape)]);
}

export const shuffle = leaf({
  name: "op.shuffle",
  arity: 0,
  attributes: { shape: "shape", permutation: "integers" },
  doc: "Permutation as a view: y = x.reshape(shape).transpose(permutation).flatten(). Attributes: shape, permutation.",
  infer: (inputs, attributes) => {
    const { shape, permutation } = shuffleOf(attributes);
    const sorted = [...permutation].sort((a, b) => a - b);
    requireThat(sameShape(sorted, [...shape.keys()]), "op.shuffle", "a permutation of the axes of shape", inputs);
    return operatorType(sizeOf(shape), sizeOf(shape));
  },
  matrix: (node) => {
    const { shape, permutation } = shuffleOf(node.attributes);
    const strides = stridesOf(shape);
    const sources: number[] = [];
    forEachIndex(
      permutation.map((axis) => shape[axis]!),
      permutation.map((axis) => strides[axis]!),
      (_position, source) => sources.push(source),
    );
    return matrixOf(outOf(node), inOf(node), (i, j) => (sources[i] === j ? 1 : 0));
  },
  transpose: {
    name: "transpose-of-shuffle",
    doc: "shuffle.T -> the inverse shuffle",
    rewrite: (b, id) => b.add("op.shuffle", [], undoing(b.node(id).attributes)),
  },
  apply: ({ builder }, { attributes }, x) => shuffled(builder, x, shuffleOf(attributes)),
  applyTransposed: ({ builder }, { attributes }, x) => shuffled(builder, x, undoing(attributes)),
  dense: ({ builder }, node) => {
    const identity = identityMatrix(builder, inOf(node));
    return builder.transpose(shuffled(builder, identity, shuffleOf(node.attributes)), [1, 0]);
  },
  flopsPerVector: () => 0,
  examples: [
    { inputs: [], attributes: { shape: [2, 3], permutation: [1, 0] } },
    { inputs: [], attributes: { shape: [2, 3, 2], permutation: [2, 0, 1] } },
  ],
});

/** y[..., i] = x[..., indices[i]]; `inverse` as `gather` wants it. */
function gatherLast(builder: Builder, x: number, indices: number, inverse?: number): number {
  const leading = [...leadingOf(builder, x).keys()];
  const table = builder.transpose(x, [leading.length, ...leading]);
  const rows = builder.add("gather", inverse === undefined ? [table, indices] : [table, indices, inverse]);
  return builder.transpose(rows, [...leading.map((axis) => axis + 1), 0]);
}

/** Places of a selection's inverse that are there, and for every place a row to read. */
function slots(builder: Builder, inverse: number): { row: number; factor: number } {
  const none = builder.compare("lt", inverse, builder.zerosLike(inverse));
  return {
    row: builder.select(none, builder.zerosLike(inverse), inverse),
    factor: builder.cast(builder.add("not", [none]), "f32"),
  };
}

export const select = leaf({
  name: "op.select",
  arity: 2,
  doc: "Picks entries: y[i] = x[indices[i]], indices different from each other. Inputs: indices i32[k] and its inverse i32[n] (the i of every place, -1 where there is none).",
  infer: (inputs) => {
    const types = inputs.map((type) => asTensor("op.select", type));
    const fits = types.every((type) => type.dtype === "i32" && type.shape.length === 1);
    requireThat(fits, "op.select", "i32[k] and i32[n]", inputs);
    return operatorType(types[0]!.shape[0]!, types[1]!.shape[0]!);
  },
  matrix: (node, [indices]) => matrixOf(outOf(node), inOf(node), (i, j) => (indices!.data[i] === j ? 1 : 0)),
  apply: ({ builder }, { inputs }, x) => gatherLast(builder, x, inputs[0]!),
  applyTransposed: ({ builder }, { inputs }, x) => {
    const [indices, inverse] = inputs as [number, number];
    const { row, factor } = slots(builder, inverse);
    return builder.mul(gatherLast(builder, x, row, indices), factor);
  },
  dense: ({ builder }, node) => {
    const shape = [outOf(node), inOf(node)];
    const chosen = builder.broadcast(node.inputs[0]!, shape, [0]);
    return builder.cast(builder.add("eq", [chosen, builder.iota(shape, 1)]), "f32");
  },
  columnEntry: ({ builder }, { inputs }, ids) => slots(builder, builder.add("gather", [inputs[1]!, ids])),
  flopsPerVector: () => 0,
  examples: [{ inputs: [i32(2), i32(5)], data: { 0: [3, 1], 1: [-1, 1, -1, 0, -1] } }],
});
