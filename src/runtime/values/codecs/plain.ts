/** A tensor that a file has as it is: in its form on patches, under each of its keys, under some of them transposed. */
import type { AdapterTensor } from "../../../program/index.ts";
import { fromFloat32, type HostTensor, hostTensor, type TensorDtype } from "../../files/tensor.ts";
import { sameNumbers } from "../../files/ties.ts";
import { differentEnds } from "../base-tensors.ts";
import { checkPlaces, floatNumbers, wholeNumbers } from "../numbers.ts";
import type { FoundTensor, Numbers, TensorCodec } from "./codec.ts";
import { shapeInFile } from "./patch-form.ts";

/** Every key under which a file has a tensor, its own first, with the shape there; `turned`: the transpose is there. */
function keysInFile({ key, aliases, turned = [], shape, patchForm }: AdapterTensor) {
  const straight = shapeInFile(shape, patchForm);
  return [
    ...[key, ...aliases].map((name) => ({ key: name, shape: straight, turned: false })),
    ...turned.map((name) => ({ key: name, shape: [...shape].reverse(), turned: true })),
  ];
}

/** The transpose of a matrix [m, n], in f32. Throws `FILE-ADAPTER-DTYPE` for one of integers. */
function turnedTensor(matrix: HostTensor, key = ""): HostTensor {
  const [m = 1, n = 1] = matrix.shape;
  const data = floatNumbers(matrix, key);
  const turned = Float32Array.from(data, (_x, i) => data[(i % m) * n + Math.floor(i / m)]!);
  return fromFloat32(turned, "F32", [n, m]);
}

/** Numbers of a tensor, or as many of another kind such as its gradient, under each of its keys. */
export function underKeys(
  tensor: AdapterTensor,
  numbers: Numbers,
  dtype: TensorDtype = "F32",
): Map<string, HostTensor> {
  const shape = shapeInFile(tensor.shape, tensor.patchForm);
  const host =
    numbers instanceof Int32Array ? hostTensor("I32", shape, numbers) : fromFloat32(numbers.slice(), dtype, shape);
  return new Map(keysInFile(tensor).map(({ key, turned }) => [key, turned ? turnedTensor(host) : host]));
}

/**
 * Decoding throws `FILE-ADAPTER-TIES` where a file has several of the tensor and they differ: none of them may be passed over. It throws
 * `FILE-ADAPTER-DTYPE` and `FILE-ADAPTER-PLACES` too.
 */
export function plainCodec(tensor: AdapterTensor): TensorCodec {
  const keys = keysInFile(tensor);
  return {
    specs: keys.map(({ key, shape }) => ({ key, shape, tensor: tensor.key })),
    async decode(read) {
      let first: FoundTensor | undefined;
      for (const { key, turned } of keys) {
        const found = await read(key);
        if (found === undefined) continue;
        const { inFile } = found;
        const straight = turned ? turnedTensor(found.tensor, inFile) : found.tensor;
        first ??= { inFile, tensor: straight };
        if (!sameNumbers(first.tensor, straight)) throw differentEnds(tensor.key, first.inFile, inFile);
      }
      if (first === undefined) return undefined;
      checkPlaces(tensor, first.tensor);
      return tensor.dtype === "f32" ? floatNumbers(first.tensor, first.inFile) : wholeNumbers(first.tensor, tensor.key);
    },
    async encode(numbers) {
      return underKeys(tensor, numbers, (tensor.fileDtype ?? "f32").toUpperCase() as TensorDtype);
    },
  };
}
