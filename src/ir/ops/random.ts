/** Counter-based random numbers: a value is a function of (seed, step, site, tensor, element) and of nothing else. */
import type { OpRecord } from "../op-record.ts";
import { openUniform, streamKey, threefry } from "../threefry.ts";
import { sameShape, tensor, u32Scalar } from "../types.ts";
import { numbers, requireThat, sizeOf, streamingCost, value } from "./common.ts";

export const randomOps: readonly OpRecord[] = [
  {
    name: "uniform",
    opClass: "random",
    arity: 3,
    attributes: { shape: "shape", site: "integer", tensor: "integer" },
    doc:
      "Uniform numbers in (0, 1). Inputs: seed u32[], step u32[], sample offset u32[]. Element e (row-major) of a tensor whose axis 0 counts samples " +
      "uses counter e + offset * (elements per sample) under the key threefry(seed, step, site, tensor). Attributes: shape, site, tensor.",
    infer: (inputs, attributes) => {
      const scalars = inputs.every((t) => t.kind === "tensor" && t.dtype === "u32" && sameShape(t.shape, []));
      requireThat(scalars, "uniform", "three u32 scalars", inputs);
      return tensor("f32", numbers(attributes, "shape"));
    },
    eval: (inputs, attributes, type) => {
      const [seed, step, offset] = inputs.map((v) => v.data[0]!);
      const [k0, k1] = streamKey(seed!, step!, attributes.site as number, attributes.tensor as number);
      const first = offset! * sizeOf(type.shape.slice(1));
      const result = value(type.shape);
      for (let i = 0; i < result.data.length; i++) result.data[i] = openUniform(threefry(k0, k1, first + i, 0)[0]);
      return result;
    },
    vjp: "nondifferentiable",
    cost: (inputs, _attributes, type) => streamingCost(inputs, type, 100),
    samples: () => [
      {
        inputs: [u32Scalar, u32Scalar, u32Scalar],
        attributes: { shape: [3, 4, 2], site: 5, tensor: 1 },
        ranges: [
          [0, 9],
          [0, 9],
          [0, 3],
        ],
      },
    ],
  },
];
