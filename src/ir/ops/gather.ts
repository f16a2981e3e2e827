/** Table lookups by index tensors. */
import type { OpRecord } from "../op-record.ts";
import { sameShape, tensor } from "../types.ts";
import { asTensor, bytesOf, requireThat, sizeOf, streamingCost, value } from "./common.ts";

export const indexOps: readonly OpRecord[] = [
  {
    name: "gather",
    opClass: "gather",
    arity: "variadic",
    doc:
      "Rows of a table [v, ...rest] by i32 indices [...s]: result [...s, ...rest]. Indices must be in range. A third input, i32[v], may name for " +
      "every row the one flat place that reads it: then the gradient is a gather as well. For rows whose gradient is not wanted it may hold any place.",
    infer: (inputs) => {
      const table = asTensor("gather", inputs[0]);
      const indices = asTensor("gather", inputs[1]);
      const inverse = inputs[2] === undefined ? undefined : asTensor("gather", inputs[2]);
      const invertible =
        inverse === undefined || (inverse.dtype === "i32" && sameShape(inverse.shape, [table.shape[0]!]));
      requireThat(
        table.shape.length >= 1 && indices.dtype === "i32" && invertible && inputs.length <= 3,
        "gather",
        "a table of rank 1 or more, i32 indices, optionally their inverse i32[rows]",
        inputs,
      );
      return tensor(table.dtype, [...indices.shape, ...table.shape.slice(1)]);
    },
    eval: (inputs, _attributes, type) => {
      const [table, indices] = [inputs[0]!, inputs[1]!];
      const width = sizeOf(table.shape.slice(1));
      const result = value(type.shape);
      indices.data.forEach((row, i) => {
        if (row < 0 || row >= table.shape[0]!)
          throw new Error(`gather: index ${row} is outside a table of ${table.shape[0]} rows`);
        result.data.set(table.data.subarray(row * width, (row + 1) * width), i * width);
      });
      return result;
    },
    vjp: ({ builder, inputs, cotangent }) => {
      const [table, indices, inverse] = inputs as [number, number, number | undefined];
      const rows = builder.shape(table)[0]!;
      if (inverse === undefined) return [builder.add("scatter_add", [indices, cotangent], { rows }), null];
      const flat = builder.reshape(cotangent, [sizeOf(builder.shape(indices)), ...builder.shape(table).slice(1)]);
      return [builder.add("gather", [flat, inverse]), null, null];
    },
    cuts: ([table, indices, inverse]) => {
      const rank = indices!.shape.length;
      const whole = inverse === undefined ? [] : [undefined];
      return [
        ...(inverse === undefined
          ? indices!.shape.map((_n, axis) => ({ inputs: [undefined, axis], output: axis }))
          : []),
        ...table!.shape.slice(1).map((_n, axis) => ({ inputs: [1 + axis, undefined, ...whole], output: rank + axis })),
      ];
    },
    cost: (inputs, _attributes, type) => ({ flops: 0, bytes: bytesOf(inputs[1]!) + 2 * bytesOf(type) }),
    samples: () => [
      {
        inputs: [tensor("f32", [5, 3]), tensor("i32", [2, 4])],
        attributes: {},
        ranges: [
          [-1, 1],
          [0, 4],
        ],
      },
    ],
  },
  {
    name: "scatter_add",
    opClass: "scatter",
    arity: 2,
    attributes: { rows: "integer" },
    doc: "A table [rows, ...rest] whose row r is the sum of the updates [...s, ...rest] at the places where indices [...s] equal r, added in order. Attribute: rows.",
    infer: (inputs, attributes) => {
      const indices = asTensor("scatter_add", inputs[0]);
      const updates = asTensor("scatter_add", inputs[1]);
      const rank = indices.shape.length;
      const fits =
        indices.dtype === "i32" && updates.dtype === "f32" && indices.shape.every((n, i) => n === updates.shape[i]);
      requireThat(fits, "scatter_add", "i32 indices [...s] and f32 updates [...s, ...rest]", inputs);
      return tensor("f32", [attributes.rows as number, ...updates.shape.slice(rank)]);
    },
    eval: (inputs, _attributes, type) => {
      const [indices, updates] = [inputs[0]!, inputs[1]!];
      const width = sizeOf(type.shape.slice(1));
      const result = value(type.shape);
      indices.data.forEach((row, i) => {
        for (let j = 0; j < width; j++) result.data[row * width + j]! += updates.data[i * width + j]!;
      });
      return result;
    },
    vjp: ({ builder, inputs, cotangent }) => [null, builder.add("gather", [cotangent, inputs[0]!])],
    cuts: ([indices, updates]) => {
      const rank = indices!.shape.length;
      return [
        ...indices!.shape.map((_n, axis) => ({ inputs: [axis, axis], combine: "add" as const })),
        ...updates!.shape.slice(rank).map((_n, axis) => ({ inputs: [undefined, rank + axis], output: 1 + axis })),
      ];
    },
    cost: (inputs, _attributes, type) => streamingCost(inputs, type, 1),
    samples: () => [
      {
        inputs: [tensor("i32", [2, 4]), tensor("f32", [2, 4, 3])],
        attributes: { rows: 5 },
        ranges: [
          [0, 4],
          [-1, 1],
        ],
      },
    ],
  },
];
