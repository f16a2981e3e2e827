/**
 * `einsum`: the one contraction. Two operands, one letter per axis. A letter in both operands and the result is a batch axis, in both
 * operands only it is contracted, in one operand and the result it is free. A letter in one operand alone is refused: reduce first.
 */
import { WebpeftError } from "../diagnostics.ts";
import type { Attributes } from "../graph.ts";
import type { OpRecord } from "../op-record.ts";
import { remembered } from "../remember.ts";
import { tensor } from "../types.ts";
import { asTensor, bytesOf, forEachIndex, requireThat, sizeOf, stridesOf, value } from "./common.ts";

export interface EinsumSpec {
  readonly a: string;
  readonly b: string;
  readonly out: string;
  readonly batch: readonly string[];
  readonly contracted: readonly string[];
  readonly freeA: readonly string[];
  readonly freeB: readonly string[];
}

/** Reads `"bmk,bnk->bmn"`. Throws `IR-EINSUM` for anything that is not of this kind. */
export function parseEinsum(spec: string): EinsumSpec {
  const match = /^([a-z]*),([a-z]*)->([a-z]*)$/.exec(spec);
  const refuse = (why: string): WebpeftError =>
    new WebpeftError("IR-EINSUM", {
      message: `the einsum ${JSON.stringify(spec)} is not a contraction of two tensors: ${why}`,
      where: "einsum",
      got: spec,
    });
  if (match === null) throw refuse("write it as letters,letters->letters");
  const [a, b, out] = [match[1]!, match[2]!, match[3]!];
  for (const part of [a, b, out])
    if (new Set(part).size !== part.length) throw refuse(`a letter occurs twice in ${part}`);
  for (const letter of out)
    if (!a.includes(letter) && !b.includes(letter)) throw refuse(`${letter} is in the result only`);
  for (const letter of a)
    if (!b.includes(letter) && !out.includes(letter)) throw refuse(`${letter} is in the first operand only`);
  for (const letter of b)
    if (!a.includes(letter) && !out.includes(letter)) throw refuse(`${letter} is in the second operand only`);
  return {
    a,
    b,
    out,
    batch: [...out].filter((l) => a.includes(l) && b.includes(l)),
    contracted: [...a].filter((l) => b.includes(l) && !out.includes(l)),
    freeA: [...out].filter((l) => a.includes(l) && !b.includes(l)),
    freeB: [...out].filter((l) => b.includes(l) && !a.includes(l)),
  };
}

const specs = new WeakMap<Attributes, EinsumSpec>();

export const einsumOf = (attributes: Attributes): EinsumSpec =>
  remembered(specs, attributes, () => parseEinsum(attributes.spec as string));

/** Extent of every letter. */
export function einsumExtents(spec: EinsumSpec, a: readonly number[], b: readonly number[]): Map<string, number> {
  const pairs = (letters: string, shape: readonly number[]) =>
    [...letters].map((letter, i) => [letter, shape[i]!] as const);
  return new Map([...pairs(spec.a, a), ...pairs(spec.b, b)]);
}

export const contractionOps: readonly OpRecord[] = [
  {
    name: "einsum",
    opClass: "contraction",
    arity: 2,
    attributes: { spec: "text" },
    doc: "Batched contraction of two tensors. Attribute: spec, e.g. `bmk,bnk->bmn`.",
    infer: (inputs, attributes) => {
      const a = asTensor("einsum", inputs[0]);
      const b = asTensor("einsum", inputs[1]);
      const spec = einsumOf(attributes);
      const ranks = spec.a.length === a.shape.length && spec.b.length === b.shape.length;
      requireThat(
        ranks && a.dtype === "f32" && b.dtype === "f32",
        "einsum",
        `two f32 tensors for ${attributes.spec as string}`,
        inputs,
      );
      const extents = einsumExtents(spec, a.shape, b.shape);
      const agree = [...spec.a].every((letter, i) => extents.get(letter) === a.shape[i]);
      requireThat(agree, "einsum", `equal extents for shared letters of ${attributes.spec as string}`, inputs);
      return tensor(
        "f32",
        [...spec.out].map((letter) => extents.get(letter)!),
      );
    },
    eval: (inputs, attributes, type) => {
      const [a, b] = [inputs[0]!, inputs[1]!];
      const spec = einsumOf(attributes);
      const extents = einsumExtents(spec, a.shape, b.shape);
      /** Where the elements of an operand are that the values of these letters read, which run as those of a shape do. */
      const offsets = (letters: readonly string[], own: string, shape: readonly number[]): Uint32Array => {
        const strides = stridesOf(shape);
        const lengths = letters.map((letter) => extents.get(letter)!);
        const found = new Uint32Array(sizeOf(lengths));
        forEachIndex(
          lengths,
          letters.map((letter) => strides[own.indexOf(letter)] ?? 0),
          (position, offset) => {
            found[position] = offset;
          },
        );
        return found;
      };
      const [outA, outB] = [offsets([...spec.out], spec.a, a.shape), offsets([...spec.out], spec.b, b.shape)];
      const [innerA, innerB] = [offsets(spec.contracted, spec.a, a.shape), offsets(spec.contracted, spec.b, b.shape)];
      const [result, dataA, dataB] = [value(type.shape), a.data, b.data];
      for (let i = 0; i < result.data.length; i++) {
        const [fromA, fromB] = [outA[i]!, outB[i]!];
        let sum = 0;
        for (let k = 0; k < innerA.length; k++) sum += dataA[fromA + innerA[k]!]! * dataB[fromB + innerB[k]!]!;
        result.data[i] = sum;
      }
      return result;
    },
    vjp: ({ builder, node, inputs, cotangent, needed }) => {
      const { a, b, out } = einsumOf(node.attributes);
      return [
        needed[0] ? builder.einsum(`${out},${b}->${a}`, cotangent, inputs[1]!) : null,
        needed[1] ? builder.einsum(`${out},${a}->${b}`, cotangent, inputs[0]!) : null,
      ];
    },
    cost: (inputs, attributes, type) => {
      const [a, b] = [asTensor("einsum", inputs[0]), asTensor("einsum", inputs[1])];
      const spec = einsumOf(attributes);
      const extents = einsumExtents(spec, a.shape, b.shape);
      const inner = spec.contracted.reduce((product, letter) => product * extents.get(letter)!, 1);
      const elements = type.kind === "tensor" ? sizeOf(type.shape) : 0;
      return { flops: 2 * elements * inner, bytes: bytesOf(a) + bytesOf(b) + bytesOf(type) };
    },
    cuts: (_inputs, attributes) => {
      const { a, b, out, contracted } = einsumOf(attributes);
      const at = (letters: string, letter: string): number | undefined =>
        letters.includes(letter) ? letters.indexOf(letter) : undefined;
      return [
        ...[...out].map((letter, output) => ({ inputs: [at(a, letter), at(b, letter)], output })),
        ...contracted.map((letter) => ({ inputs: [at(a, letter), at(b, letter)], combine: "add" as const })),
      ];
    },
    samples: () => [
      { inputs: [tensor("f32", [3, 4]), tensor("f32", [5, 4])], attributes: { spec: "mk,nk->mn" } },
      { inputs: [tensor("f32", [2, 3, 4]), tensor("f32", [2, 4, 5])], attributes: { spec: "bmk,bkn->mbn" } },
      { inputs: [tensor("f32", [3, 4, 2]), tensor("f32", [4, 2, 5])], attributes: { spec: "mkj,kjn->nm" } },
    ],
  },
];
