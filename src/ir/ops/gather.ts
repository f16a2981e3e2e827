/** Table lookups by index tensors. */
import type { OpRecord } from "../op-record.ts";
import { tensor } from "../types.ts";
import { asTensor, bytesOf, requireThat, sizeOf, streamingCost, value } from "./common.ts";

export const indexOps: readonly OpRecord[] = [
  {
    name: "gather",
    opClass: "gather",
    arity: 2,
    doc: "Rows of a table [v, ...rest] by i32 indices [...s]: result [...s, ...rest]. Indices must be in range.",
    infer: (inputs) => {
      const table = asTensor("gather", inputs[0]);
      const indices = asTensor("gather", inputs[1]);
      requireThat(
        table.shape.length >= 1 && indices.dtype === "i32",
        "gather",
        "a table of rank 1 or more, i32 indices",
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
    vjp: ({ builder, inputs, cotangent }) => [
      builder.add("scatter_add", [inputs[1]!, cotangent], { rows: builder.shape(inputs[0]!)[0]! }),
      null,
    ],
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
