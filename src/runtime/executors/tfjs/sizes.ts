/**
 * A backend of TensorFlow.js whose tensors have sizes and no numbers: what a program takes on the other backends is counted by running it here. Its
 * kernels are those that `ops.ts` calls; each makes the tensor that the kernels of the other backends make, or shares data where they do.
 */
import type { DataId, DataType, KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { sizeOf } from "../../../ir/types.ts";
import type { LoadedBackend, Tf } from "./backend.ts";

const backendName = "sizes";

type Shaped = Pick<TensorInfo, "shape" | "dtype">;
type Attributes = Readonly<Record<string, unknown>>;
/** What a kernel makes: data of its own, or a view of an input. */
type Made = Shaped & { readonly shares?: TensorInfo };
type Kernel = (inputs: readonly TensorInfo[], attributes: Attributes, tf: Tf) => Made;

const list = (attributes: Attributes, name: string): readonly number[] => [attributes[name]].flat() as number[];
const like: Kernel = ([x]) => ({ shape: x!.shape, dtype: x!.dtype });

const broadcast =
  (dtype?: DataType): Kernel =>
  ([a, b], _attributes, tf) => ({
    shape: tf.backend_util.assertAndGetBroadcastShape(a!.shape, b!.shape),
    dtype: dtype ?? a!.dtype,
  });

const reduction =
  (axes: string): Kernel =>
  ([x], attributes, tf) => {
    const reduced = tf.util.parseAxisParam([...list(attributes, axes)], x!.shape);
    return { shape: x!.shape.filter((_n, axis) => !reduced.includes(axis)), dtype: x!.dtype };
  };

const concat: Kernel = (inputs, attributes) => {
  const axis = attributes.axis as number;
  const total = inputs.reduce((sum, { shape }) => sum + shape[axis]!, 0);
  return { shape: inputs[0]!.shape.map((n, i) => (i === axis ? total : n)), dtype: inputs[0]!.dtype };
};

const slice: Kernel = ([x], attributes, tf) => {
  const [, size] = tf.slice_util.parseSliceParams(
    x!,
    [...list(attributes, "begin")],
    [...list(attributes, "size")],
  ) as [number[], number[]];
  return { shape: size, dtype: x!.dtype };
};

const pad: Kernel = ([x], { paddings }) => {
  const around = paddings as readonly (readonly [number, number])[];
  return { shape: x!.shape.map((n, i) => n + around[i]![0] + around[i]![1]), dtype: x!.dtype };
};

const matMul: Kernel = ([a, b]) => ({ shape: [...a!.shape.slice(0, -1), b!.shape.at(-1)!], dtype: a!.dtype });

const same = ["Neg", "Exp", "Log", "Sqrt", "Rsqrt", "Reciprocal", "Sin", "Cos", "Tanh", "Erf", "Sigmoid", "Abs"];
const arithmetic = ["Add", "Sub", "Multiply", "RealDiv", "Maximum", "Minimum"];
const logical = ["Less", "LessEqual", "Equal", "LogicalAnd", "LogicalOr"];
const named = (names: readonly string[], kernel: Kernel) => Object.fromEntries(names.map((name) => [name, kernel]));

const kernels: Readonly<Record<string, Kernel>> = {
  ...named([...same, "Sign", "Floor", "LogicalNot"], like),
  ...named(arithmetic, broadcast()),
  ...named(logical, broadcast("bool")),
  Select: ([, a]) => ({ shape: a!.shape, dtype: a!.dtype }),
  Identity: ([x]) => ({ shape: x!.shape, dtype: x!.dtype, shares: x! }),
  Reshape: ([x], { shape }) => ({ shape: shape as number[], dtype: x!.dtype, shares: x! }),
  Cast: ([x], { dtype }) => ({ shape: x!.shape, dtype: dtype as DataType }),
  Transpose: ([x], attributes) => ({ shape: list(attributes, "perm").map((axis) => x!.shape[axis]!), dtype: x!.dtype }),
  Sum: reduction("axis"),
  Max: reduction("reductionIndices"),
  Concat: concat,
  Pack: (inputs) => ({ shape: [inputs.length, ...inputs[0]!.shape], dtype: inputs[0]!.dtype }),
  Slice: slice,
  PadV2: pad,
  GatherV2: ([x, indices]) => ({ shape: [...indices!.shape, ...x!.shape.slice(1)], dtype: x!.dtype }),
  ScatterNd: ([, updates], { shape }) => ({ shape: shape as number[], dtype: updates!.dtype }),
  BatchMatMul: matMul,
  Fill: (_inputs, { shape, dtype }) => ({ shape: shape as number[], dtype: dtype as DataType }),
};

const arrays = { int32: Int32Array, bool: Uint8Array } as const;

/** Registers the backend where it is not yet, and starts it. The backend that was current stays so. */
export async function sizesBackend(tf: Tf): Promise<LoadedBackend> {
  if (tf.findBackend(backendName) === null) {
    const before = tf.getBackend();
    register(tf);
    await tf.setBackend(backendName);
    if (before) await tf.setBackend(before);
  }
  return { tf, backend: backendName, counts: true };
}

function register(tf: Tf): void {
  class Sizes extends tf.KernelBackend {
    private readonly data = new Map<DataId, { count: number; readonly shaped: Shaped }>();

    make(shaped: Shaped): DataId {
      const id = {};
      this.data.set(id, { count: 1, shaped });
      return id;
    }
    override write(_values: unknown, shape: number[], dtype: DataType): DataId {
      return this.make({ shape, dtype });
    }
    override readSync(id: DataId) {
      const { shape, dtype } = this.data.get(id)!.shaped;
      return new (arrays[dtype as keyof typeof arrays] ?? Float32Array)(sizeOf(shape));
    }
    override incRef(id: DataId): void {
      this.data.get(id)!.count++;
    }
    override refCount(id: DataId): number {
      return this.data.get(id)?.count ?? 0;
    }
    override disposeData(id: DataId, force = false): boolean {
      const known = this.data.get(id);
      if (known === undefined || (--known.count > 0 && !force)) return false;
      return this.data.delete(id);
    }
    override numDataIds(): number {
      return this.data.size;
    }
    override memory() {
      return { unreliable: false };
    }
    override floatPrecision(): 32 {
      return 32;
    }
  }
  // What asks for the best backend that there is does not get this one.
  tf.registerBackend(backendName, () => new Sizes(), 0);
  for (const [kernelName, kernel] of Object.entries(kernels)) {
    const kernelFunc: KernelConfig["kernelFunc"] = ({ inputs, attrs = {}, backend }) => {
      const { shares, shape, dtype } = kernel(Object.values(inputs) as TensorInfo[], attrs as Attributes, tf);
      const sizes = backend as Sizes;
      if (shares !== undefined) sizes.incRef(shares.dataId);
      return { dataId: shares?.dataId ?? sizes.make({ shape, dtype }), shape, dtype };
    };
    tf.registerKernel({ kernelName, backendName, kernelFunc });
  }
}
