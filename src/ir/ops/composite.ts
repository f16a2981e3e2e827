/** Ops that are formulas of other ops and have derivatives of their own, which keep less for the backward pass than those of the formulas. */
import type { OpRecord } from "../op-record.ts";
import { asTensor, requireThat, streamingCost, value } from "./common.ts";

export const compositeOps: readonly OpRecord[] = [
  {
    name: "softmax",
    opClass: "composite",
    arity: 1,
    doc: "Softmax along the last axis of f32[..., n]; its gradient is made of its result alone.",
    infer: (inputs) => {
      const type = asTensor("softmax", inputs[0]);
      requireThat(type.dtype === "f32" && type.shape.length > 0, "softmax", "f32[..., n]", inputs);
      return type;
    },
    eval: (inputs, _attributes, type) => {
      const [n, { data }] = [type.shape.at(-1)!, inputs[0]!];
      const result = value(type.shape);
      for (let row = 0; row < data.length; row += n) {
        const entries = data.subarray(row, row + n);
        const largest = entries.reduce((most, x) => Math.max(most, x), Number.NEGATIVE_INFINITY);
        const powers = entries.map((x) => Math.exp(x - largest));
        const total = powers.reduce((sum, x) => sum + x, 0);
        result.data.set(
          powers.map((x) => x / total),
          row,
        );
      }
      return result;
    },
    vjp: ({ builder, output, cotangent }) => {
      const shape = builder.shape(output);
      const last = shape.length - 1;
      const weighted = builder.mul(output, cotangent);
      const mean = builder.broadcast(builder.sum(weighted, [last]), shape, [...shape.keys()].slice(0, -1));
      return [builder.mul(output, builder.sub(cotangent, mean))];
    },
    // The largest entry is taken off first, so that no power overflows.
    expand: (builder, [x]) => {
      const shape = builder.shape(x!);
      const last = shape.length - 1;
      const wide = (id: number): number => builder.broadcast(id, shape, [...shape.keys()].slice(0, -1));
      const powers = builder.add("exp", [builder.sub(x!, wide(builder.max(x!, [last])))]);
      return builder.div(powers, wide(builder.sum(powers, [last])));
    },
    cost: (inputs, _attributes, type) => streamingCost(inputs, type, 5),
    samples: () => [
      { inputs: [{ kind: "tensor", dtype: "f32", shape: [3, 5] }], attributes: {} },
      { inputs: [{ kind: "tensor", dtype: "f32", shape: [2, 3, 65] }], attributes: {}, ranges: [[-30, 30]] },
    ],
  },
];
