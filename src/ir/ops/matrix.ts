/** Small batched linear algebra. */
import type { OpRecord } from "../op-record.ts";
import { tensor } from "../types.ts";
import { asTensor, bytesOf, requireThat, sizeOf, value } from "./common.ts";

/** Inverse of the n x n matrix at `base` by Gauss-Jordan with partial pivoting, into `out`. */
function invertInto(out: Float64Array, source: Float64Array, base: number, n: number): void {
  const a = Float64Array.from(source.subarray(base, base + n * n));
  for (let i = 0; i < n; i++) out[base + i * n + i] = 1;
  const swapRows = (m: Float64Array, at: number, r: number, s: number): void => {
    for (let j = 0; j < n; j++) [m[at + r * n + j], m[at + s * n + j]] = [m[at + s * n + j]!, m[at + r * n + j]!];
  };
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let row = column + 1; row < n; row++)
      if (Math.abs(a[row * n + column]!) > Math.abs(a[pivot * n + column]!)) pivot = row;
    swapRows(a, 0, column, pivot);
    swapRows(out, base, column, pivot);
    const scale = 1 / a[column * n + column]!;
    for (let j = 0; j < n; j++) {
      a[column * n + j]! *= scale;
      out[base + column * n + j]! *= scale;
    }
    for (let row = 0; row < n; row++) {
      const factor = a[row * n + column]!;
      if (row === column || factor === 0) continue;
      for (let j = 0; j < n; j++) {
        a[row * n + j]! -= factor * a[column * n + j]!;
        out[base + row * n + j]! -= factor * out[base + column * n + j]!;
      }
    }
  }
}

export const matrixOps: readonly OpRecord[] = [
  {
    name: "inverse",
    opClass: "matrix",
    arity: 1,
    doc: "Inverse of every n x n matrix of [g, n, n].",
    infer: (inputs) => {
      const type = asTensor("inverse", inputs[0]);
      requireThat(
        type.dtype === "f32" && type.shape.length === 3 && type.shape[1] === type.shape[2],
        "inverse",
        "f32[g,n,n]",
        inputs,
      );
      return type;
    },
    eval: (inputs, _attributes, type) => {
      const n = type.shape[1]!;
      const result = value(type.shape);
      for (let g = 0; g < type.shape[0]!; g++) invertInto(result.data, inputs[0]!.data, g * n * n, n);
      return result;
    },
    vjp: ({ builder, output, cotangent }) => {
      const left = builder.einsum("gji,gjk->gik", output, cotangent);
      return [builder.neg(builder.einsum("gij,gkj->gik", left, output))];
    },
    cost: (_inputs, _attributes, type) => {
      const n = type.kind === "tensor" ? type.shape[1]! : 0;
      const g = type.kind === "tensor" ? sizeOf(type.shape) / (n * n) : 0;
      return { flops: 4 * g * n ** 3, bytes: 2 * bytesOf(type) };
    },
    samples: () => [{ inputs: [tensor("f32", [2, 3, 3])], attributes: {}, ranges: [[0.5, 2]] }],
  },
];
