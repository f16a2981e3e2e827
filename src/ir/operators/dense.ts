/** A matrix [out, in] as an operator. */
import type { Builder } from "../builder.ts";
import { operatorType, sizeOf } from "../types.ts";
import { floatShape, leadingLetters, leadingOf } from "./helpers.ts";
import { leaf } from "./record.ts";

/** einsum of x[..., k] with a matrix, keeping the leading axes. `matrix` is `nk` (rows are outputs) or `kn`. */
function contractLast(builder: Builder, x: number, matrix: number, layout: "nk" | "kn"): number {
  const leading = leadingLetters(leadingOf(builder, x).length);
  return builder.einsum(`${leading}k,${layout}->${leading}n`, x, matrix);
}

export const dense = leaf({
  name: "op.dense",
  arity: 1,
  doc: "The matrix [out, in] as an operator.",
  infer: (inputs) => {
    const [out, width] = floatShape("op.dense", inputs, "f32[out,in]");
    return operatorType(out!, width!);
  },
  matrix: (_node, [matrix]) => matrix!,
  transpose: {
    name: "transpose-of-dense",
    doc: "dense(M).T -> dense(M transposed)",
    rewrite: (b, id) => b.dense(b.transpose(b.node(id).inputs[0]!, [1, 0])),
  },
  apply: ({ builder }, { inputs }, x) => contractLast(builder, x, inputs[0]!, "nk"),
  applyTransposed: ({ builder }, { inputs }, x) => contractLast(builder, x, inputs[0]!, "kn"),
  dense: (_lowering, { inputs }) => inputs[0]!,
  flopsPerVector: (b, { inputs }) => 2 * sizeOf(b.shape(inputs[0]!)),
  denseFlops: 0,
  examples: [{ inputs: [{ kind: "tensor", dtype: "f32", shape: [3, 5] }] }],
});
