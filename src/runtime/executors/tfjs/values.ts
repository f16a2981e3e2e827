/**
 * Values of the tfjs executor. A value's tensor may have extent 1 along axes where the value repeats: tfjs broadcasts in its arithmetic
 * kernels a hundred times faster than it copies, so `broadcast` and `constant` stay unexpanded until an op needs all elements.
 */
import type { DataType, Tensor } from "@tensorflow/tfjs-core";
import type { Attributes } from "../../../ir/graph.ts";
import { forEachIndex } from "../../../ir/ops/common.ts";
import { type DType, sameShape, sizeOf, stridesOf, type TensorType } from "../../../ir/types.ts";
import type { Tf } from "./backend.ts";

export interface TfValue {
  /** Same rank as `type.shape`; every extent is the one of the type, or 1. The value owns this handle unless it is a port's. */
  readonly tensor: Tensor;
  readonly type: TensorType;
}

export const tfType = (dtype: DType): DataType => {
  if (dtype === "bool") return "bool";
  return dtype === "i32" || dtype === "u32" ? "int32" : "float32";
};

/** Numbers as a tensor; u32 wraps into int32. Copies. */
export function upload(tf: Tf, data: ArrayLike<number>, type: TensorType): Tensor {
  const dtype = tfType(type.dtype);
  const shape = [...type.shape];
  if (dtype === "int32") return tf.tensor(Int32Array.from(data), shape, "int32");
  if (dtype === "bool")
    return tf.tensor(
      Uint8Array.from(data, (x) => (x !== 0 ? 1 : 0)),
      shape,
      "bool",
    );
  return tf.tensor(Float32Array.from(data), shape, "float32");
}

/** The elements of a fully expanded tensor as numbers; u32 unwraps from int32. Not a copy: use it before the tensor is freed. */
export function download(tensor: Tensor, dtype: DType): ArrayLike<number> {
  const data = tensor.dataSync();
  return dtype === "u32" ? Uint32Array.from(data) : data;
}

/** What the computation of one node gets. Handles that it makes on the way go through `use` and are freed when the node is done. */
export interface OpContext {
  readonly tf: Tf;
  /** Whether tensors have sizes and no numbers. */
  readonly counts: boolean;
  readonly inputs: readonly TfValue[];
  readonly attributes: Attributes;
  readonly type: TensorType;
  /** Registers a handle to be freed after the node; returns it. */
  readonly use: (tensor: Tensor) => Tensor;
  /** A tensor made from input i alone: kept between runs when the input never changes, else freed after the node. */
  readonly prepared: (i: number, layout: string, make: () => Tensor) => Tensor;
}

/** All elements of a value as a tensor of the given shape, the value's own by default. Not to be freed by the caller. */
export function expanded(
  c: Pick<OpContext, "tf" | "use">,
  value: TfValue,
  shape: readonly number[] = value.type.shape,
): Tensor {
  if (sameShape(value.tensor.shape, shape)) return value.tensor;
  // Adding zeros is the fastest copy with repetition that the wasm backend has; its kernels for integers are slower than the host.
  const repeat = (x: Tensor): Tensor => c.use(c.tf.add(x, c.use(c.tf.zeros([...shape]))));
  if (tfType(value.type.dtype) === "float32") return repeat(value.tensor);
  if (value.type.dtype === "bool") return c.use(c.tf.cast(repeat(c.use(c.tf.cast(value.tensor, "float32"))), "bool"));
  const data = download(value.tensor, value.type.dtype);
  const strides = stridesOf(value.tensor.shape).map((stride, axis) => (value.tensor.shape[axis] === 1 ? 0 : stride));
  const all = new Float64Array(sizeOf(shape));
  forEachIndex(shape, strides, (position, offset) => {
    all[position] = data[offset]!;
  });
  return c.use(upload(c.tf, all, { ...value.type, shape }));
}

/** The smallest shape that holds what the values hold unexpanded. */
export function commonShape(values: readonly TfValue[]): number[] {
  return values[0]!.type.shape.map((_n, axis) => Math.max(...values.map((v) => v.tensor.shape[axis]!)));
}
