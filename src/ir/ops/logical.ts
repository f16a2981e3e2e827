/** Pointwise ops on booleans and between dtypes: comparisons, logic, choice, casts. */
import type { OpRecord } from "../op-record.ts";
import { type DType, sameShape, tensor } from "../types.ts";
import { asTensor, requireThat, streamingCost, value } from "./common.ts";
import { evaluate, sameTypes, sample } from "./pointwise-common.ts";

function comparison(name: string, doc: string, f: (a: number, b: number) => boolean, operator: string): OpRecord {
  return {
    name,
    opClass: "pointwise",
    arity: 2,
    doc,
    infer: (inputs) => tensor("bool", sameTypes(name, inputs).shape),
    eval: evaluate((a, b) => (f(a, b) ? 1 : 0)),
    vjp: "nondifferentiable",
    cost: (inputs, _attributes, type) => streamingCost(inputs, type, 1),
    samples: () => sample(2, [-1, 1]),
    wgsl: (args) => `(${args[0]} ${operator} ${args[1]})`,
  };
}

export const logicalOps: readonly OpRecord[] = [
  comparison("lt", "a < b", (a, b) => a < b, "<"),
  comparison("le", "a <= b", (a, b) => a <= b, "<="),
  comparison("eq", "a == b", (a, b) => a === b, "=="),
  {
    name: "and",
    opClass: "pointwise",
    arity: 2,
    doc: "a and b, booleans",
    infer: (inputs) => {
      const type = sameTypes("and", inputs);
      requireThat(type.dtype === "bool", "and", "bool", inputs);
      return type;
    },
    eval: evaluate((a, b) => (a !== 0 && b !== 0 ? 1 : 0)),
    vjp: "nondifferentiable",
    cost: (inputs, _attributes, type) => streamingCost(inputs, type, 1),
    samples: () => [
      {
        inputs: [tensor("bool", [3, 5]), tensor("bool", [3, 5])],
        attributes: {},
        ranges: [
          [0, 1],
          [0, 1],
        ],
      },
    ],
    wgsl: (args) => `(${args[0]} && ${args[1]})`,
  },
  {
    name: "not",
    opClass: "pointwise",
    arity: 1,
    doc: "not a, boolean",
    infer: (inputs) => {
      const type = asTensor("not", inputs[0]);
      requireThat(type.dtype === "bool", "not", "bool", inputs);
      return type;
    },
    eval: evaluate((a) => (a !== 0 ? 0 : 1)),
    vjp: "nondifferentiable",
    cost: (inputs, _attributes, type) => streamingCost(inputs, type, 1),
    samples: () => [{ inputs: [tensor("bool", [3, 5])], attributes: {}, ranges: [[0, 1]] }],
    wgsl: (args) => `(!${args[0]})`,
  },
  {
    name: "select",
    opClass: "pointwise",
    arity: 3,
    doc: "b where the boolean a is true, else c",
    infer: (inputs) => {
      const a = asTensor("select", inputs[0]);
      const b = asTensor("select", inputs[1]);
      const c = asTensor("select", inputs[2]);
      const fits =
        a.dtype === "bool" && b.dtype === c.dtype && sameShape(a.shape, b.shape) && sameShape(b.shape, c.shape);
      requireThat(fits, "select", "bool and two tensors of one dtype, all of one shape", inputs);
      return b;
    },
    eval: evaluate((a, b, c) => (a !== 0 ? b : c)),
    vjp: ({ builder, inputs, cotangent }) => {
      const zero = builder.zerosLike(cotangent);
      return [
        null,
        builder.add("select", [inputs[0]!, cotangent, zero]),
        builder.add("select", [inputs[0]!, zero, cotangent]),
      ];
    },
    cost: (inputs, _attributes, type) => streamingCost(inputs, type, 1),
    samples: () => [
      {
        inputs: [tensor("bool", [3, 5]), tensor("f32", [3, 5]), tensor("f32", [3, 5])],
        attributes: {},
        ranges: [
          [0, 1],
          [-1, 1],
          [-1, 1],
        ],
      },
    ],
    wgsl: (args) => `select(${args[2]}, ${args[1]}, ${args[0]})`,
  },
  {
    name: "cast",
    opClass: "pointwise",
    arity: 1,
    attributes: { dtype: "dtype" },
    doc: "The value in another dtype; f16 and bf16 expand exactly to f32; f32 to integers truncates. Attribute: dtype.",
    infer: (inputs, attributes) => tensor(attributes.dtype as DType, asTensor("cast", inputs[0]).shape),
    eval: (inputs, attributes, type) => {
      const result = value(type.shape, Float64Array.from(inputs[0]!.data));
      if (attributes.dtype === "i32" || attributes.dtype === "u32")
        result.data.forEach((v, i) => {
          result.data[i] = Math.trunc(v);
        });
      if (attributes.dtype === "bool")
        result.data.forEach((v, i) => {
          result.data[i] = v !== 0 ? 1 : 0;
        });
      return result;
    },
    vjp: ({ builder, node, inputs, cotangent }) => {
      const from = builder.tensorType(inputs[0]!).dtype;
      const floats = (from === "f32" || from === "f16" || from === "bf16") && node.attributes.dtype === "f32";
      return [floats ? builder.cast(cotangent, from) : null];
    },
    cost: (inputs, _attributes, type) => streamingCost(inputs, type, 1),
    samples: () => [{ inputs: [tensor("i32", [3, 5])], attributes: { dtype: "f32" }, ranges: [[0, 9]] }],
    wgsl: (args, attributes) => `${attributes.dtype as string}(${args[0]})`,
  },
];
