/** Ops without inputs. */
import type { OpRecord } from "../op-record.ts";
import { type DType, tensor } from "../types.ts";
import { forEachIndex, isAxis, noCost, numbers, requireThat, value } from "./common.ts";

export const leafOps: readonly OpRecord[] = [
  {
    name: "port",
    opClass: "leaf",
    arity: 0,
    attributes: { name: "text", role: "role", dtype: "dtype", shape: "shape" },
    moreAttributes: true,
    doc: "A tensor given from outside. Attributes: name, role (input | weight | param | buffer), dtype, shape; optional file details.",
    infer: (_inputs, attributes) => tensor(attributes.dtype as DType, numbers(attributes, "shape")),
    vjp: () => [],
    cost: noCost,
  },
  {
    name: "constant",
    opClass: "leaf",
    arity: 0,
    attributes: { value: "number", dtype: "dtype", shape: "shape" },
    doc: "One number in every element. Attributes: value, dtype, shape.",
    infer: (_inputs, attributes) => tensor(attributes.dtype as DType, numbers(attributes, "shape")),
    eval: (_inputs, attributes, type) => {
      const result = value(type.shape);
      result.data.fill(attributes.value as number);
      return result;
    },
    vjp: () => [],
    cost: noCost,
    samples: () => [{ inputs: [], attributes: { value: 0.5, dtype: "f32", shape: [2, 3] } }],
  },
  {
    name: "iota",
    opClass: "leaf",
    arity: 0,
    attributes: { axis: "integer", shape: "shape" },
    doc: "The index along one axis, i32. Attributes: axis, shape.",
    infer: (inputs, attributes) => {
      const shape = numbers(attributes, "shape");
      requireThat(isAxis(attributes.axis, shape.length), "iota", `an axis of [${shape.join(",")}]`, inputs);
      return tensor("i32", shape);
    },
    eval: (_inputs, attributes, type) => {
      const result = value(type.shape);
      const axis = attributes.axis as number;
      const strides = type.shape.map((_n, i) => (i === axis ? 1 : 0));
      forEachIndex(type.shape, strides, (position, offset) => {
        result.data[position] = offset;
      });
      return result;
    },
    vjp: "nondifferentiable",
    cost: noCost,
    samples: () => [{ inputs: [], attributes: { axis: 1, shape: [2, 5, 3] } }],
  },
];
