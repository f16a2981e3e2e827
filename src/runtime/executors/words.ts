/** Data of ports as a device holds it: 32-bit words, bf16 and f16 packed two to a word. */
import type { PlannedValue } from "../../codegen/plan.ts";
import { byteWidth, type DType, sizeOf, stridesOf } from "../../ir/types.ts";
import { fromFloat32, type HostTensor, toFloat32, toInt32 } from "../files/tensor.ts";
import type { PortTensor } from "./executor.ts";

const isHost = (tensor: PortTensor): tensor is HostTensor => "bytes" in tensor;

/** The numbers of a tensor of floats; not a copy where it holds such numbers. */
export const floatsOf = (tensor: PortTensor): Float32Array =>
  isHost(tensor) ? toFloat32(tensor) : Float32Array.from(tensor);

/** The bytes to write to a buffer, a multiple of four; not a copy where the tensor holds them so. */
function deviceBytes(tensor: PortTensor, dtype: DType, name: string): Uint8Array<ArrayBuffer> {
  const bytes = bytesOf(tensor, dtype, name);
  if (bytes.length % 4 === 0 && bytes.buffer instanceof ArrayBuffer) return bytes as Uint8Array<ArrayBuffer>;
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  padded.set(bytes);
  return padded;
}

function bytesOf(tensor: PortTensor, dtype: DType, name: string): Uint8Array {
  switch (dtype) {
    case "f32":
      return view(floatsOf(tensor));
    case "bf16":
    case "f16":
      return halves(tensor, dtype);
    default:
      return view(integers(tensor, dtype, name));
  }
}

const view = (array: Float32Array | Int32Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

function halves(tensor: PortTensor, dtype: "bf16" | "f16"): Uint8Array {
  const wanted = dtype === "bf16" ? "BF16" : "F16";
  if (isHost(tensor) && tensor.dtype === wanted) return tensor.bytes;
  const numbers = floatsOf(tensor);
  return fromFloat32(numbers, wanted, [numbers.length]).bytes;
}

function integers(tensor: PortTensor, dtype: DType, name: string): Int32Array {
  const numbers = isHost(tensor) ? toInt32(tensor, name) : Int32Array.from(tensor, (x) => x | 0);
  return dtype === "bool" ? numbers.map((x) => Number(x !== 0)) : numbers;
}

/** Rows `from` to `to` of data whose first axis has `count` rows. */
function rowsOf(tensor: PortTensor, count: number, [from, to]: readonly [number, number]): PortTensor {
  if (!isHost(tensor)) return tensor.subarray((tensor.length / count) * from, (tensor.length / count) * to);
  const row = tensor.bytes.length / count;
  return {
    ...tensor,
    shape: [to - from, ...tensor.shape.slice(1)],
    bytes: tensor.bytes.subarray(row * from, row * to),
  };
}

/** The bytes of data where a plan wants them: the rows, the number type and the order of axes of that place. */
export function placedBytes(tensor: PortTensor, place: PlannedValue, count: number): Uint8Array<ArrayBuffer> {
  const { name, dtype, shape, order, rows } = place;
  const bytes = deviceBytes(rows === undefined ? tensor : rowsOf(tensor, count, rows), dtype, name);
  return order === undefined ? bytes : reordered(bytes, dtype, shape, order);
}

/** Row-major data with the axes in another order, outermost first. */
function reordered(
  bytes: Uint8Array<ArrayBuffer>,
  dtype: DType,
  shape: readonly number[],
  order: readonly number[],
): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(bytes.length);
  const View = byteWidth(dtype) === 2 ? Uint16Array : Uint32Array;
  // Files hold halves at any address; a copy is aligned.
  const aligned = bytes.byteOffset % View.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes);
  const [from, to] = [new View(aligned.buffer, aligned.byteOffset), new View(result.buffer)];
  const strides = stridesOf(shape);
  const moved = order.map((axis) => strides[axis]!);
  const extents = order.map((axis) => shape[axis]!);
  const last = extents.length - 1;
  const index = new Array<number>(extents.length).fill(0);
  const count = sizeOf(shape);
  for (let at = 0, source = 0; at < count; at++) {
    to[at] = from[source]!;
    for (let axis = last; axis >= 0; axis--) {
      source += moved[axis]!;
      if (++index[axis]! < extents[axis]!) break;
      source -= moved[axis]! * extents[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}

/** Numbers of an input as 32-bit words, written to `at`, a multiple of four. */
export function writeWords(memory: ArrayBufferLike, at: number, data: ArrayLike<number>, dtype: DType): void {
  const Words = dtype === "f32" ? Float32Array : Uint32Array;
  const place = new Words(memory as ArrayBuffer, at, data.length);
  place.set(data);
  if (dtype === "bool") for (let i = 0; i < data.length; i++) place[i] = Number(data[i]! !== 0);
}

/** Words of a result as numbers; a copy. */
export function readWords(bytes: ArrayBufferLike, at: number, length: number, dtype: DType): Float32Array {
  if (dtype === "f32") return new Float32Array(bytes, at, length).slice();
  if (dtype === "i32") return Float32Array.from(new Int32Array(bytes, at, length));
  return Float32Array.from(new Uint32Array(bytes, at, length));
}

/** The numbers of a tensor as a device holds it, row-major. */
export function placedNumbers(
  bytes: Uint8Array<ArrayBuffer>,
  { dtype, shape, order }: Pick<PlannedValue, "dtype" | "shape"> & { readonly order: readonly number[] },
): Float32Array {
  const extents = order.map((axis) => shape[axis]!);
  const back = shape.map((_extent, axis) => order.indexOf(axis));
  const rows = reordered(bytes, dtype, extents, back);
  if (dtype === "bf16" || dtype === "f16")
    return toFloat32({ dtype: dtype === "bf16" ? "BF16" : "F16", shape, bytes: rows });
  return readWords(rows.buffer, 0, sizeOf(shape), dtype);
}
