/** Movement ops: the result is a view of the inputs. Codegen turns them into index maps, so they cost nothing where they are fused. */
import type { Cut } from "../cuts.ts";
import type { OpRecord } from "../op-record.ts";
import { sameShape, tensor } from "../types.ts";
import {
  asTensor,
  forEachIndex,
  isAxis,
  numbers,
  requireThat,
  sizeOf,
  streamingCost,
  stridesOf,
  value,
} from "./common.ts";

const movement = (record: Omit<OpRecord, "opClass" | "cost">): OpRecord => ({
  ...record,
  opClass: "movement",
  cost: (inputs, _attributes, type) => streamingCost(inputs, type, 0),
});

const range = (n: number): number[] => Array.from({ length: n }, (_unused, i) => i);

type KeptCut = Cut & { readonly output: number };

/** Axes of two shapes of the same elements that have the same extent and as many elements inside of them: their parts are the same elements. */
function sharedAxes(from: readonly number[], to: readonly number[]): KeptCut[] {
  const inside = (shape: readonly number[], axis: number): number => sizeOf(shape.slice(axis + 1));
  return to.flatMap((extent, output) => {
    const axis = from.findIndex((n, i) => n === extent && inside(from, i) === inside(to, output));
    return axis < 0 ? [] : [{ inputs: [axis], output }];
  });
}

/** Axes whose extents are the same before and behind. */
const untouchedAxes = (from: readonly number[], to: readonly number[]): KeptCut[] =>
  range(to.length)
    .filter((axis) => from[axis] === to[axis])
    .map((axis) => ({ inputs: [axis], output: axis }));

export const movementOps: readonly OpRecord[] = [
  movement({
    name: "reshape",
    arity: 1,
    attributes: { shape: "shape" },
    doc: "The same elements in row-major order under another shape. Attribute: shape.",
    infer: (inputs, attributes) => {
      const type = asTensor("reshape", inputs[0]);
      const shape = numbers(attributes, "shape");
      requireThat(
        sizeOf(shape) === sizeOf(type.shape),
        "reshape",
        `${sizeOf(shape)} elements for [${shape.join(",")}]`,
        inputs,
      );
      return tensor(type.dtype, shape);
    },
    eval: (inputs, _attributes, type) => value(type.shape, inputs[0]!.data),
    vjp: ({ builder, inputs, cotangent }) => [builder.reshape(cotangent, builder.shape(inputs[0]!))],
    cuts: (inputs, _attributes, type) => sharedAxes(inputs[0]!.shape, type.shape),
    samples: () => [{ inputs: [tensor("f32", [4, 6])], attributes: { shape: [2, 3, 4] } }],
  }),
  movement({
    name: "transpose",
    arity: 1,
    attributes: { permutation: "integers" },
    doc: "Axis i of the result is axis permutation[i] of the input. Attribute: permutation.",
    infer: (inputs, attributes) => {
      const type = asTensor("transpose", inputs[0]);
      const permutation = numbers(attributes, "permutation");
      const isPermutation = sameShape(
        [...permutation].sort((a, b) => a - b),
        range(type.shape.length),
      );
      requireThat(isPermutation, "transpose", `rank ${permutation.length} and a permutation of its axes`, inputs);
      return tensor(
        type.dtype,
        permutation.map((axis) => type.shape[axis]!),
      );
    },
    eval: (inputs, attributes, type) => {
      const strides = stridesOf(inputs[0]!.shape);
      const result = value(type.shape);
      const permuted = numbers(attributes, "permutation").map((axis) => strides[axis]!);
      forEachIndex(type.shape, permuted, (position, offset) => {
        result.data[position] = inputs[0]!.data[offset]!;
      });
      return result;
    },
    vjp: ({ builder, node, cotangent }) => {
      const permutation = numbers(node.attributes, "permutation");
      return [
        builder.transpose(
          cotangent,
          permutation.map((_axis, i) => permutation.indexOf(i)),
        ),
      ];
    },
    cuts: (_inputs, attributes) =>
      numbers(attributes, "permutation").map((axis, output) => ({ inputs: [axis], output })),
    samples: () => [{ inputs: [tensor("f32", [2, 3, 4])], attributes: { permutation: [2, 0, 1] } }],
  }),
  movement({
    name: "broadcast",
    arity: 1,
    attributes: { shape: "shape", axes: "integers" },
    doc: "Input axis i becomes axis axes[i] of the result; the other axes repeat. Attributes: shape, axes (increasing).",
    infer: (inputs, attributes) => {
      const type = asTensor("broadcast", inputs[0]);
      const shape = numbers(attributes, "shape");
      const axes = numbers(attributes, "axes");
      const fits =
        axes.length === type.shape.length &&
        axes.every((axis, i) => shape[axis] === type.shape[i] && (i === 0 || axes[i - 1]! < axis));
      requireThat(
        fits,
        "broadcast",
        `[${axes.map((axis) => shape[axis]).join(",")}] for axes [${axes.join(",")}] of [${shape.join(",")}]`,
        inputs,
      );
      return tensor(type.dtype, shape);
    },
    eval: (inputs, attributes, type) => {
      const own = stridesOf(inputs[0]!.shape);
      const strides = type.shape.map(() => 0);
      numbers(attributes, "axes").forEach((axis, i) => {
        strides[axis] = own[i]!;
      });
      const result = value(type.shape);
      forEachIndex(type.shape, strides, (position, offset) => {
        result.data[position] = inputs[0]!.data[offset]!;
      });
      return result;
    },
    vjp: ({ builder, node, cotangent }) => {
      const axes = numbers(node.attributes, "axes");
      return [
        builder.sum(
          cotangent,
          range(numbers(node.attributes, "shape").length).filter((axis) => !axes.includes(axis)),
        ),
      ];
    },
    cuts: (_inputs, attributes, type) => {
      const axes = numbers(attributes, "axes");
      const at = (axis: number): number | undefined => (axes.includes(axis) ? axes.indexOf(axis) : undefined);
      return type.shape.map((_n, output) => ({ inputs: [at(output)], output }));
    },
    samples: () => [{ inputs: [tensor("f32", [3, 2])], attributes: { shape: [4, 3, 2], axes: [1, 2] } }],
  }),
  movement({
    name: "slice",
    arity: 1,
    attributes: { start: "integers", limit: "integers" },
    doc: "Elements start[i] to limit[i] (exclusive) of every axis. Attributes: start, limit.",
    infer: (inputs, attributes) => {
      const type = asTensor("slice", inputs[0]);
      const start = numbers(attributes, "start");
      const limit = numbers(attributes, "limit");
      const fits =
        start.length === type.shape.length &&
        limit.length === start.length &&
        start.every((s, i) => s >= 0 && s < limit[i]! && limit[i]! <= type.shape[i]!);
      requireThat(fits, "slice", `axes that hold [${start.join(",")}] to [${limit.join(",")}]`, inputs);
      return tensor(
        type.dtype,
        start.map((s, i) => limit[i]! - s),
      );
    },
    eval: (inputs, attributes, type) => {
      const strides = stridesOf(inputs[0]!.shape);
      const base = numbers(attributes, "start").reduce((sum, s, i) => sum + s * strides[i]!, 0);
      const result = value(type.shape);
      forEachIndex(type.shape, strides, (position, offset) => {
        result.data[position] = inputs[0]!.data[base + offset]!;
      });
      return result;
    },
    vjp: ({ builder, node, inputs, cotangent }) => {
      const low = numbers(node.attributes, "start");
      const high = numbers(node.attributes, "limit").map((limit, i) => builder.shape(inputs[0]!)[i]! - limit);
      return [builder.add("pad", [cotangent], { low: [...low], high })];
    },
    cuts: (inputs, _attributes, type) => untouchedAxes(inputs[0]!.shape, type.shape),
    samples: () => [
      { inputs: [tensor("f32", [4, 6])], attributes: { start: [1, 2], limit: [3, 6] } },
      { inputs: [tensor("f32", [4, 6])], attributes: { start: [0, 2], limit: [4, 6] } },
    ],
  }),
  movement({
    name: "pad",
    arity: 1,
    attributes: { low: "integers", high: "integers" },
    doc: "Zeros around the input: low[i] before and high[i] after along axis i. Attributes: low, high.",
    infer: (inputs, attributes) => {
      const type = asTensor("pad", inputs[0]);
      const low = numbers(attributes, "low");
      const high = numbers(attributes, "high");
      requireThat(
        low.length === type.shape.length && high.length === low.length && [...low, ...high].every((n) => n >= 0),
        "pad",
        `rank ${low.length}`,
        inputs,
      );
      return tensor(
        type.dtype,
        type.shape.map((n, i) => n + low[i]! + high[i]!),
      );
    },
    eval: (inputs, attributes, type) => {
      const strides = stridesOf(type.shape);
      const base = numbers(attributes, "low").reduce((sum, n, i) => sum + n * strides[i]!, 0);
      const result = value(type.shape);
      forEachIndex(inputs[0]!.shape, strides, (position, offset) => {
        result.data[base + offset] = inputs[0]!.data[position]!;
      });
      return result;
    },
    vjp: ({ builder, node, inputs, cotangent }) => {
      const low = numbers(node.attributes, "low");
      return [
        builder.slice(
          cotangent,
          low,
          builder.shape(inputs[0]!).map((n, i) => n + low[i]!),
        ),
      ];
    },
    cuts: (inputs, attributes, type) =>
      untouchedAxes(inputs[0]!.shape, type.shape).filter(({ output }) => numbers(attributes, "low")[output] === 0),
    samples: () => [
      { inputs: [tensor("f32", [2, 3])], attributes: { low: [1, 0], high: [0, 2] } },
      { inputs: [tensor("f32", [4, 3])], attributes: { low: [0, 0], high: [0, 2] } },
    ],
  }),
  movement({
    name: "concat",
    arity: "variadic",
    attributes: { axis: "integer" },
    doc: "The inputs one after the other along an axis. Attribute: axis.",
    infer: (inputs, attributes) => {
      const types = inputs.map((t) => asTensor("concat", t));
      const axis = attributes.axis as number;
      const first = types[0]!;
      const fits = types.every(
        (t) =>
          t.dtype === first.dtype &&
          t.shape.length === first.shape.length &&
          t.shape.every((n, i) => i === axis || n === first.shape[i]),
      );
      requireThat(
        fits && isAxis(axis, first.shape.length),
        "concat",
        `one dtype and shapes equal but for axis ${axis}`,
        inputs,
      );
      const total = types.reduce((sum, t) => sum + t.shape[axis]!, 0);
      return tensor(
        first.dtype,
        first.shape.map((n, i) => (i === axis ? total : n)),
      );
    },
    eval: (inputs, attributes, type) => {
      const axis = attributes.axis as number;
      const strides = stridesOf(type.shape);
      const result = value(type.shape);
      let start = 0;
      for (const input of inputs) {
        const base = start * strides[axis]!;
        forEachIndex(input.shape, strides, (position, offset) => {
          result.data[base + offset] = input.data[position]!;
        });
        start += input.shape[axis]!;
      }
      return result;
    },
    vjp: ({ builder, node, inputs, cotangent }) => {
      const axis = node.attributes.axis as number;
      let start = 0;
      return inputs.map((input) => {
        const shape = builder.shape(input);
        const from = shape.map((_n, i) => (i === axis ? start : 0));
        start += shape[axis]!;
        return builder.slice(
          cotangent,
          from,
          shape.map((n, i) => (i === axis ? start : n)),
        );
      });
    },
    cuts: (inputs, attributes, type) =>
      range(type.shape.length)
        .filter((axis) => axis !== attributes.axis)
        .map((axis) => ({ inputs: inputs.map(() => axis), output: axis })),
    samples: () => [{ inputs: [tensor("f32", [2, 3]), tensor("f32", [2, 1])], attributes: { axis: 1 } }],
  }),
];
