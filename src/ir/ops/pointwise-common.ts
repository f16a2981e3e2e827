/** What the records of pointwise ops share: f64 loops, samples, the common type of the operands. */
import type { OpRecord, OpSample } from "../op-record.ts";
import { sameShape, type TensorType, type Type, tensor } from "../types.ts";
import { asTensor, requireThat, value } from "./common.ts";

/** By element, `f` of the operands: three at most, and where there are fewer it ignores what stands for the others. */
export function evaluate(f: (a: number, b: number, c: number) => number): NonNullable<OpRecord["eval"]> {
  return (inputs, _attributes, type) => {
    const result = value(type.shape);
    const { data } = result;
    // Written out: an array of arguments for every element would take most of the time.
    const [a, b = a!, c = a!] = inputs.map((v) => v.data);
    for (let i = 0; i < data.length; i++) data[i] = f(a![i]!, b[i]!, c[i]!);
    return result;
  };
}

export const sample = (arity: number, range: readonly [number, number]): readonly OpSample[] => [
  {
    inputs: Array.from({ length: arity }, () => tensor("f32", [3, 5])),
    attributes: {},
    ranges: Array.from({ length: arity }, () => range),
  },
];

/** The shared type of the inputs, which must have one shape and one dtype. */
export function sameTypes(name: string, inputs: readonly Type[]): TensorType {
  const a = asTensor(name, inputs[0]);
  const b = asTensor(name, inputs[1]);
  requireThat(sameShape(a.shape, b.shape) && a.dtype === b.dtype, name, "two tensors of one shape and dtype", inputs);
  return a;
}
