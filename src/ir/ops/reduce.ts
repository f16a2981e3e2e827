/** Reductions over a set of axes; the reduced axes disappear. */
import type { Cut } from "../cuts.ts";
import type { OpRecord } from "../op-record.ts";
import { tensor } from "../types.ts";
import { areAxes, asTensor, forEachIndex, numbers, requireThat, streamingCost, stridesOf, value } from "./common.ts";

function reduction(
  name: string,
  doc: string,
  initial: number,
  combine: (a: number, b: number) => number,
  parts: NonNullable<Cut["combine"]>,
  vjp: OpRecord["vjp"],
): OpRecord {
  return {
    name,
    opClass: "reduce",
    arity: 1,
    attributes: { axes: "integers" },
    doc: `${doc} Attribute: axes (increasing).`,
    infer: (inputs, attributes) => {
      const type = asTensor(name, inputs[0]);
      const axes = numbers(attributes, "axes");
      requireThat(
        type.dtype === "f32" && areAxes(axes, type.shape.length),
        name,
        `f32 with axes [${axes.join(",")}]`,
        inputs,
      );
      return tensor(
        "f32",
        type.shape.filter((_n, i) => !axes.includes(i)),
      );
    },
    eval: (inputs, attributes, type) => {
      const axes = numbers(attributes, "axes");
      const kept = stridesOf(type.shape);
      let next = 0;
      const strides = inputs[0]!.shape.map((_n, i) => (axes.includes(i) ? 0 : kept[next++]!));
      const result = value(type.shape);
      result.data.fill(initial);
      forEachIndex(inputs[0]!.shape, strides, (position, offset) => {
        result.data[offset] = combine(result.data[offset]!, inputs[0]!.data[position]!);
      });
      return result;
    },
    vjp: vjp!,
    cuts: (inputs, attributes) => {
      const axes = numbers(attributes, "axes");
      const kept = keptAxes(inputs[0]!.shape.length, axes);
      return inputs[0]!.shape.map((_n, axis) =>
        axes.includes(axis) ? { inputs: [axis], combine: parts } : { inputs: [axis], output: kept.indexOf(axis) },
      );
    },
    cost: (inputs, _attributes, type) => ({
      ...streamingCost(inputs, type, 0),
      flops: streamingCost([], inputs[0]!, 1).flops,
    }),
    samples: () => [
      { inputs: [tensor("f32", [2, 3, 4])], attributes: { axes: [2] } },
      { inputs: [tensor("f32", [2, 3, 4])], attributes: { axes: [0, 1] } },
    ],
  };
}

const keptAxes = (rank: number, axes: readonly number[]): number[] =>
  Array.from({ length: rank }, (_unused, i) => i).filter((i) => !axes.includes(i));

export const reduceOps: readonly OpRecord[] = [
  reduction(
    "sum",
    "Sum over axes.",
    0,
    (a, b) => a + b,
    "add",
    ({ builder, node, inputs, cotangent }) => {
      const shape = builder.shape(inputs[0]!);
      return [builder.broadcast(cotangent, shape, keptAxes(shape.length, numbers(node.attributes, "axes")))];
    },
  ),
  reduction(
    "reduce_max",
    "Largest entry over axes; the gradient goes to every entry that equals it.",
    -Infinity,
    Math.max,
    "maximum",
    ({ builder, node, inputs, output, cotangent }) => {
      const shape = builder.shape(inputs[0]!);
      const kept = keptAxes(shape.length, numbers(node.attributes, "axes"));
      const isLargest = builder.add("eq", [inputs[0]!, builder.broadcast(output, shape, kept)]);
      const g = builder.broadcast(cotangent, shape, kept);
      return [builder.add("select", [isLargest, g, builder.zerosLike(g)])];
    },
  ),
];
