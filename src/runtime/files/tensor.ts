/**
 * Tensors as the host holds them: the bytes of a safetensors file (little endian, row-major) with dtype and shape, and the
 * conversions that executors and writers need. webpeft runs on little-endian hosts, as WebGPU does.
 */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { sizeOf } from "../../ir/types.ts";

/** The dtypes that webpeft reads and writes, by their names in safetensors, with the bytes of one number. */
export const tensorDtypes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  I16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
} as const;

export type TensorDtype = keyof typeof tensorDtypes;

export interface HostTensor {
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  /** Row-major, little endian, `product(shape) * width` bytes, at any alignment. */
  readonly bytes: Uint8Array;
}

export type TypedArray =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array
  | Uint16Array
  | Uint32Array;

export const isTensorDtype = (name: string): name is TensorDtype => Object.hasOwn(tensorDtypes, name);

/** Wraps the memory of a typed array, without a copy. F16 and BF16 take their bits as a `Uint16Array`. Throws `DATA-TENSOR-SIZE`. */
export function hostTensor(dtype: TensorDtype, shape: readonly number[], data: TypedArray): HostTensor {
  const expected = sizeOf(shape) * tensorDtypes[dtype];
  if (expected !== data.byteLength) {
    throw new WebpeftError("DATA-TENSOR-SIZE", {
      message: `the data of a tensor ${dtype}[${shape.join(",")}] has another size than its shape says`,
      expected: `${expected} bytes`,
      got: `${data.byteLength} bytes`,
    });
  }
  return { dtype, shape: [...shape], bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

/**
 * The numbers as f32. Exact for F32, F16, BF16 and the small integers; F64 and large integers are rounded to nearest even.
 * For F32 the result shares the tensor's memory where its alignment allows.
 */
export function toFloat32(tensor: HostTensor): Float32Array {
  const { dtype } = tensor;
  if (dtype === "F32") return view(tensor, Float32Array);
  if (dtype === "BF16") return expandBfloat16(view(tensor, Uint16Array));
  if (dtype === "F16") return Float32Array.from(view(tensor, Uint16Array), float16ToNumber);
  if (dtype === "I64") return Float32Array.from(view(tensor, BigInt64Array), Number);
  return Float32Array.from(numbersOf(tensor));
}

/** The numbers as i32; booleans as 0 and 1. Throws `DATA-INTEGER-RANGE` for what is no integer of 32 bits. */
export function toInt32(tensor: HostTensor, name = "a tensor"): Int32Array {
  if (tensor.dtype === "I32") return view(tensor, Int32Array);
  const numbers = integersOf(tensor);
  const out = new Int32Array(numbers.length);
  for (let i = 0; i < out.length; i++) {
    const value = numbers[i]!;
    out[i] = Number(value);
    // For bigint against number, == compares the values exactly; a NaN differs from every integer.
    // biome-ignore lint/suspicious/noDoubleEquals: the two sides may be of the two number types
    if (out[i] != value) throw integerRange(name, tensor.dtype, i, String(value));
  }
  return out;
}

/**
 * f32 numbers as a tensor of `dtype`: floats rounded to nearest even (overflow becomes infinite, as in PyTorch). Integers and booleans
 * must be exact, `DATA-INTEGER-RANGE` otherwise. F32 shares the array's memory.
 */
export function fromFloat32(data: Float32Array, dtype: TensorDtype, shape: readonly number[]): HostTensor {
  switch (dtype) {
    case "F32":
      return hostTensor(dtype, shape, data);
    case "F64":
      return hostTensor(dtype, shape, Float64Array.from(data));
    case "F16":
      return hostTensor(dtype, shape, roundAll(data, bitsToFloat16));
    case "BF16":
      return hostTensor(dtype, shape, roundAll(data, bitsToBfloat16));
    default:
      return hostTensor(dtype, shape, exactIntegers(data, dtype));
  }
}

/** The index of the first NaN or infinite number, or -1. Looks at the bits, so that nothing is expanded. */
export function firstNonFinite(tensor: HostTensor): number {
  const exponents = { F32: 0x7f800000, F16: 0x7c00, BF16: 0x7f80 } as const;
  const { dtype } = tensor;
  if (dtype === "F64") return view(tensor, Float64Array).findIndex((value) => !Number.isFinite(value));
  if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") return -1;
  const mask = exponents[dtype];
  const bits = dtype === "F32" ? view(tensor, Uint32Array) : view(tensor, Uint16Array);
  for (let i = 0; i < bits.length; i++) {
    if ((bits[i]! & mask) === mask) return i;
  }
  return -1;
}

/** Throws `DATA-TENSOR-NOT-FINITE` when a number of the tensor is NaN or infinite; called when weights are uploaded. */
export function checkFinite(name: string, tensor: HostTensor, file?: string): void {
  const index = firstNonFinite(tensor);
  if (index < 0) return;
  const width = tensorDtypes[tensor.dtype];
  const bytes = tensor.bytes.subarray(index * width, (index + 1) * width);
  throw new WebpeftError("DATA-TENSOR-NOT-FINITE", {
    message: `the tensor ${name} holds a number that is not finite`,
    where: file === undefined ? name : `${file}: ${name}`,
    expected: "finite numbers",
    got: `${toFloat32({ dtype: tensor.dtype, shape: [1], bytes })[0]} at index ${index}`,
    help: "The file is damaged or its training diverged; use another checkpoint.",
  });
}

/** The number that the 16 bits of an IEEE half stand for. */
export function float16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

interface View<T> {
  new (buffer: ArrayBufferLike, offset: number, length: number): T;
  readonly BYTES_PER_ELEMENT: number;
}

function view<T>(tensor: HostTensor, type: View<T>): T {
  const width = type.BYTES_PER_ELEMENT;
  // Not `slice`, which shares the memory where the bytes are a Buffer of Node's.
  const bytes = tensor.bytes.byteOffset % width === 0 ? tensor.bytes : new Uint8Array(tensor.bytes);
  return new type(bytes.buffer, bytes.byteOffset, bytes.byteLength / width);
}

/** Everything but I64, F16 and BF16. */
function numbersOf(tensor: HostTensor): ArrayLike<number> {
  switch (tensor.dtype) {
    case "F64":
      return view(tensor, Float64Array);
    case "I32":
      return view(tensor, Int32Array);
    case "U32":
      return view(tensor, Uint32Array);
    case "I16":
      return view(tensor, Int16Array);
    case "I8":
      return view(tensor, Int8Array);
    case "BOOL":
      return tensor.bytes.map((byte) => (byte === 0 ? 0 : 1));
    default:
      return tensor.bytes;
  }
}

function integersOf(tensor: HostTensor): ArrayLike<number | bigint> {
  const { dtype } = tensor;
  if (dtype === "I64") return view(tensor, BigInt64Array);
  return dtype === "F32" || dtype === "F16" || dtype === "BF16" ? toFloat32(tensor) : numbersOf(tensor);
}

function expandBfloat16(bits: Uint16Array): Float32Array {
  const out = new Uint32Array(bits.length);
  for (let i = 0; i < out.length; i++) out[i] = bits[i]! << 16;
  return new Float32Array(out.buffer);
}

function roundAll(data: Float32Array, round: (bits: number) => number): Uint16Array {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const out = new Uint16Array(data.length);
  for (let i = 0; i < out.length; i++) out[i] = round(bits[i]!);
  return out;
}

/** The bf16 nearest to the f32 with these bits, ties to even. */
function bitsToBfloat16(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** The IEEE half nearest to the f32 with these bits, ties to even. */
function bitsToFloat16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 65520 and more round to infinity: halfway between the largest half and the power of two behind it.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) {
    const rebased = magnitude - 0x38000000;
    return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
  }
  // Subnormal halves are multiples of 2^-24; below a quarter of that everything is zero.
  if (magnitude < 0x33000000) return sign;
  const shift = 126 - (magnitude >>> 23);
  const fraction = (magnitude & 0x7fffff) | 0x800000;
  const kept = fraction >>> shift;
  const rest = fraction & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (kept + (rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0));
}

function exactIntegers(data: Float32Array, dtype: TensorDtype): TypedArray {
  const make = {
    BOOL: () => new Uint8Array(data.length),
    U8: () => new Uint8Array(data.length),
    I8: () => new Int8Array(data.length),
    I16: () => new Int16Array(data.length),
    I32: () => new Int32Array(data.length),
    U32: () => new Uint32Array(data.length),
  };
  const fail = (i: number): WebpeftError => integerRange("a tensor", dtype, i, String(data[i]));
  if (dtype === "I64") {
    return BigInt64Array.from(data, (value, i) => {
      if (!Number.isInteger(value) || value >= 2 ** 63 || value < -(2 ** 63)) throw fail(i);
      return BigInt(value);
    }) as BigInt64Array;
  }
  const out = make[dtype as keyof typeof make]();
  for (let i = 0; i < data.length; i++) {
    out[i] = data[i]!;
    if (out[i] !== data[i] || (dtype === "BOOL" && data[i]! > 1)) throw fail(i);
  }
  return out;
}

function integerRange(name: string, dtype: TensorDtype, index: number, got: string): WebpeftError {
  return new WebpeftError("DATA-INTEGER-RANGE", {
    message: `a number of ${name} (${dtype}) does not fit the integers it is wanted as`,
    where: `${name}, index ${index}`,
    expected: "an integer inside the range of the type",
    got,
  });
}
