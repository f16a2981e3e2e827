/** The weights of a base model by key: from one tensor file, from shards, or from memory. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { type SafetensorsFile, tensorMissing } from "./safetensors.ts";
import { type HostTensor, hostTensor, isTensorDtype, type TensorDtype, type TypedArray } from "./tensor.ts";

export interface WeightInfo {
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
}

export interface Weights {
  /** In the order of the file. */
  keys(): string[];
  info(key: string): WeightInfo | undefined;
  /** One tensor; nothing is kept. Throws `FILE-TENSOR-MISSING`, and what reading a file throws. */
  read(key: string): Promise<HostTensor>;
}

export interface WeightEntry extends WeightInfo {
  read(): Promise<HostTensor>;
}

export function weightsOf(name: string, entries: ReadonlyMap<string, WeightEntry>): Weights {
  return {
    keys: () => [...entries.keys()],
    info(key) {
      const entry = entries.get(key);
      return entry && { dtype: entry.dtype, shape: entry.shape };
    },
    async read(key) {
      const entry = entries.get(key);
      if (entry === undefined) throw tensorMissing(name, key);
      return entry.read();
    },
  };
}

/** The tensors of several files as one. A key in two of them is `FILE-SHARD-DUPLICATE`. */
export function fileWeights(name: string, files: readonly SafetensorsFile[]): Weights {
  const entries = new Map<string, WeightEntry>();
  const homes = new Map<string, string>();
  for (const file of files) {
    for (const [key, { dtype, shape }] of file.tensors) {
      const home = homes.get(key);
      if (home !== undefined) {
        throw new WebpeftError("FILE-SHARD-DUPLICATE", {
          message: "a tensor is in two shards",
          where: `${name}: ${key}`,
          expected: "every key in one shard",
          got: `${home} and ${file.name}`,
        });
      }
      homes.set(key, file.name);
      entries.set(key, { dtype, shape, read: () => file.read(key) });
    }
  }
  return weightsOf(name, entries);
}

/** What tfjs tensors look like; read when their turn comes. */
interface TensorLike {
  readonly shape: readonly number[];
  readonly dtype: string;
  data(): Promise<ArrayLike<number>>;
}

/** Numbers with a shape; without `dtype` the array's own type. F16 and BF16 are bits in a `Uint16Array`. */
interface ShapedArray {
  readonly shape: readonly number[];
  readonly data: TypedArray;
  readonly dtype?: TensorDtype;
}

/** A weight in memory. A bare array is a vector. */
export type MemoryWeight = HostTensor | ShapedArray | TensorLike | TypedArray;

/** Weights in memory; nothing is copied. Throws `DATA-TENSOR-DTYPE`, `DATA-TENSOR-SIZE`, `DATA-TENSOR-SHAPE`. */
export function memoryWeights(weights: Readonly<Record<string, MemoryWeight>>): Weights {
  const entries = new Map(Object.entries(weights).map(([key, weight]) => [key, memoryEntry(key, weight)]));
  return weightsOf("memory", entries);
}

function memoryEntry(key: string, weight: MemoryWeight): WeightEntry {
  if (ArrayBuffer.isView(weight)) return memoryEntry(key, { shape: [weight.length], data: weight });
  checkShape(key, weight);
  if ("bytes" in weight) {
    const { dtype, shape, bytes } = weight;
    if (!isTensorDtype(dtype)) throw dtypeError(key, String(dtype));
    return ready(key, dtype, shape, bytes);
  }
  if (typeof weight.data === "function") return tensorLikeEntry(key, weight as TensorLike);
  const { data, shape, dtype = dtypeOf(key, weight.data) } = weight as ShapedArray;
  return ready(key, dtype, shape, data);
}

function ready(key: string, dtype: TensorDtype, shape: readonly number[], data: TypedArray): WeightEntry {
  const tensor = named(key, () => hostTensor(dtype, shape, data));
  return { dtype, shape: tensor.shape, read: async () => tensor };
}

function tensorLikeEntry(key: string, weight: TensorLike): WeightEntry {
  const dtypes: Readonly<Record<string, TensorDtype>> = { float32: "F32", int32: "I32", bool: "BOOL" };
  const dtype = Object.hasOwn(dtypes, weight.dtype) ? dtypes[weight.dtype] : undefined;
  if (dtype === undefined) throw dtypeError(key, weight.dtype);
  const { shape } = weight;
  const read = async (): Promise<HostTensor> => {
    const data = (await weight.data()) as TypedArray;
    return named(key, () => hostTensor(dtype, shape, data));
  };
  return { dtype, shape, read };
}

function dtypeOf(key: string, data: TypedArray): TensorDtype {
  if (data instanceof Float32Array) return "F32";
  if (data instanceof Float64Array) return "F64";
  if (data instanceof BigInt64Array) return "I64";
  if (data instanceof Int32Array) return "I32";
  if (data instanceof Uint32Array) return "U32";
  if (data instanceof Int16Array) return "I16";
  if (data instanceof Int8Array) return "I8";
  if (data instanceof Uint8Array) return "U8";
  throw dtypeError(key, data instanceof Uint16Array ? "a Uint16Array without dtype (F16 or BF16)" : typeof data);
}

function checkShape(key: string, weight: unknown): void {
  const shape = typeof weight === "object" && weight !== null && "shape" in weight ? weight.shape : undefined;
  if (Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size >= 0)) return;
  throw new WebpeftError("DATA-TENSOR-SHAPE", {
    message: `the weight ${key} has no shape`,
    where: key,
    expected: "a list of whole numbers",
    got: JSON.stringify(shape) ?? "nothing",
  });
}

function dtypeError(key: string, got: string): WebpeftError {
  return new WebpeftError("DATA-TENSOR-DTYPE", {
    message: `the weight ${key} has a type that webpeft does not know`,
    where: key,
    expected: "a tensor, or a typed array of numbers",
    got,
  });
}

/** Adds the key to the error of a tensor whose size is wrong. */
function named<T>(key: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof WebpeftError)) throw error;
    throw new WebpeftError(error.code, { ...error.diagnostics[0]!, where: key });
  }
}
