/** Diagonals that vary from vector to vector: gates, and dropout. */
import type { Builder } from "../builder.ts";
import type { Node } from "../graph.ts";
import type { Value } from "../op-record.ts";
import { asTensor, requireThat } from "../ops/common.ts";
import { f32, operatorType, sameType, sizeOf, u32Scalar } from "../types.ts";
import { transposeOfSymmetric } from "./diagonal.ts";
import { diagonalOf, identityMatrix, leadingBroadcast } from "./helpers.ts";
import { inOf, leaf } from "./record.ts";

/** Entries for one of the vectors: all that stand behind the leading axes. */
function entriesAt({ data, shape }: Value, leading: number, place: number): Float64Array {
  const width = sizeOf(shape.slice(leading));
  const row = Math.floor((place * data.length) / width);
  return data.subarray(row * width, (row + 1) * width);
}

/** x[b, ..., n] times entries [b, n] of its samples, or [b, s, n] of its tokens. */
function gated(builder: Builder, x: number, entries: number): number {
  const [shape, rank] = [builder.shape(x), builder.shape(entries).length];
  const axes = Array.from({ length: rank }, (_unused, axis) => (axis === rank - 1 ? shape.length - 1 : axis));
  return builder.mul(x, builder.broadcast(entries, shape, axes));
}

export const gate = leaf({
  name: "op.gate",
  arity: 1,
  doc: "Diagonal operator that varies: entries [b, n] for the samples, or [b, s, n] for the tokens, of the vectors [b, s, n] that it is applied to.",
  infer: (inputs) => {
    const type = asTensor("op.gate", inputs[0]);
    requireThat(type.dtype === "f32" && type.shape.length >= 2, "op.gate", "f32[b,...,n]", inputs);
    const size = type.shape.at(-1)!;
    return operatorType(size, size);
  },
  matrix: (node, [entries], place) => {
    const own = entriesAt(entries!, entries!.shape.length - 1, place);
    return diagonalOf(inOf(node), (i) => own[i]!);
  },
  transpose: transposeOfSymmetric,
  apply: ({ builder }, { inputs }, x) => gated(builder, x, inputs[0]!),
  flopsPerVector: (_builder, node) => inOf(node),
  varies: () => true,
  examples: [{ inputs: [f32(2, 5)] }, { inputs: [f32(2, 3, 5)] }],
});

export const scalarGate = leaf({
  name: "op.scalar_gate",
  arity: 1,
  attributes: { size: "integer" },
  doc: "Multiple of the identity that varies: entries [b] for the samples, or [b, s] for the tokens, of the vectors [b, s, n] that it is applied to. Attribute: size.",
  infer: (inputs, attributes) => {
    const type = asTensor("op.scalar_gate", inputs[0]);
    requireThat(type.dtype === "f32" && type.shape.length >= 1, "op.scalar_gate", "f32[b] or f32[b,s]", inputs);
    return operatorType(attributes.size as number, attributes.size as number);
  },
  matrix: (node, [entries], place) => {
    const [own] = entriesAt(entries!, entries!.shape.length, place);
    return diagonalOf(inOf(node), () => own!);
  },
  transpose: transposeOfSymmetric,
  apply: ({ builder }, { inputs }, x) => builder.mul(x, leadingBroadcast(builder, inputs[0]!, builder.shape(x))),
  columnEntry: ({ builder }, { inputs }, ids) => ({
    row: ids,
    factor: leadingBroadcast(builder, inputs[0]!, builder.shape(ids)),
  }),
  flopsPerVector: (_builder, node) => inOf(node),
  varies: () => true,
  examples: [
    { inputs: [f32(2)], attributes: { size: 4 } },
    { inputs: [f32(2, 3)], attributes: { size: 4 } },
  ],
});

/** Zero with probability p, else 1 / (1 - p): the mask of dropout, for activations of the given shape whose axis 0 counts samples. */
function dropoutMask(builder: Builder, { attributes, inputs }: Node, shape: readonly number[]): number {
  const p = attributes.p as number;
  const uniform = builder.add("uniform", inputs, {
    shape: [...shape],
    site: attributes.site!,
    tensor: attributes.tensor!,
  });
  const dropped = builder.add("lt", [uniform, builder.constantLike(uniform, p)]);
  return builder.select(dropped, builder.zerosLike(uniform), builder.constantLike(uniform, 1 / (1 - p)));
}

const drops = ({ attributes }: Node): boolean => attributes.p !== 0;

const noMatrix = ({ op }: Node): Error => new Error(`${op} varies and has no matrix`);

export const dropout = leaf({
  name: "op.dropout",
  arity: 3,
  attributes: { size: "integer", p: "number", site: "integer", tensor: "integer" },
  doc: "Random diagonal that varies over tokens: entries 0 with probability p, else 1/(1-p). Inputs: seed, step, sample offset (u32[]). Attributes: size, p, site, tensor.",
  infer: (inputs, attributes) => {
    requireThat(
      inputs.every((type) => sameType(type, u32Scalar)),
      "op.dropout",
      "three u32 scalars",
      inputs,
    );
    return operatorType(attributes.size as number, attributes.size as number);
  },
  matrix: (node) => {
    if (drops(node)) throw noMatrix(node);
    return diagonalOf(inOf(node), () => 1);
  },
  transpose: transposeOfSymmetric,
  apply: ({ builder }, node, x) => builder.mul(x, dropoutMask(builder, node, builder.shape(x))),
  dense: ({ builder }, node) => {
    if (drops(node)) throw noMatrix(node);
    return identityMatrix(builder, inOf(node));
  },
  flopsPerVector: (_builder, node) => 100 * inOf(node),
  varies: drops,
  examples: [{ inputs: [u32Scalar, u32Scalar, u32Scalar], attributes: { size: 4, p: 0, site: 0, tensor: 1 } }],
});
