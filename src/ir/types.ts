/** Value types of the two graph levels. All plain JSON. */

/** The largest number of f32; what is beyond is infinite on a device. */
export const largestFloat32 = 3.4028234663852886e38;

export type DType = "f32" | "f16" | "bf16" | "i32" | "u32" | "bool";

/** A dense array. `shape` is static; `[]` is a scalar. */
export interface TensorType {
  readonly kind: "tensor";
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** A linear map from vectors of length `in` to vectors of length `out`. */
export interface OperatorType {
  readonly kind: "operator";
  readonly out: number;
  readonly in: number;
}

export type Type = TensorType | OperatorType;

export const tensor = (dtype: DType, shape: readonly number[]): TensorType => ({ kind: "tensor", dtype, shape });
export const f32 = (...shape: number[]): TensorType => tensor("f32", shape);
export const i32 = (...shape: number[]): TensorType => tensor("i32", shape);
export const operatorType = (out: number, in_: number): OperatorType => ({ kind: "operator", out, in: in_ });

export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const n of shape) size *= n;
  return size;
}

/** Whether a number is finite as f32. */
export const fitsF32 = (value: number): boolean => Number.isFinite(Math.fround(value));
export const byteWidth = (dtype: DType): number => (dtype === "f16" || dtype === "bf16" ? 2 : 4);

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function sameType(a: Type, b: Type): boolean {
  if (a.kind === "operator") return b.kind === "operator" && a.out === b.out && a.in === b.in;
  return b.kind === "tensor" && a.dtype === b.dtype && sameShape(a.shape, b.shape);
}

/** `f32[4,12]` and `op[12,4]` (out, in), as the textual IR writes them. */
export function typeText(type: Type): string {
  return type.kind === "operator" ? `op[${type.out},${type.in}]` : `${type.dtype}[${type.shape.join(",")}]`;
}

/** Row-major strides in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1]! * shape[i + 1]!;
  return strides;
}

export const u32Scalar: TensorType = tensor("u32", []);
