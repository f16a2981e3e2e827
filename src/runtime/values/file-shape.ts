/** Adapter tensors as files have them: under which keys, in which shapes. */
import { sizeOf } from "../../ir/types.ts";
import type { AdapterTensor, PatchForm } from "../../program/index.ts";
import { fromFloat32, type HostTensor } from "../files/tensor.ts";
import { floatNumbers } from "./numbers.ts";

/** The shape that a file has for a tensor of a shape; see `PatchForm`. */
export function shapeInFile(shape: readonly number[], form: PatchForm | undefined): readonly number[] {
  switch (form?.name) {
    case "kernel":
      return [...shape.slice(0, -1), ...form.patch];
    case "pointwise":
      return [...shape, 1, 1];
    case "channels":
      return [1, sizeOf(shape), 1, 1];
    case "row":
      return [1, sizeOf(shape)];
    default:
      return shape;
  }
}

export interface KeyInFile {
  readonly key: string;
  readonly shape: readonly number[];
  /** The file has the transpose of the tensor there. */
  readonly turned: boolean;
}

/** Every key under which a file has a tensor, its own first. */
export function keysInFile({ key, aliases, turned = [], shape, patchForm }: AdapterTensor): KeyInFile[] {
  const straight = shapeInFile(shape, patchForm);
  return [
    ...[key, ...aliases].map((name) => ({ key: name, shape: straight, turned: false })),
    ...turned.map((name) => ({ key: name, shape: [...shape].reverse(), turned: true })),
  ];
}

/** The transpose of a matrix [m, n], in f32. Throws `FILE-ADAPTER-DTYPE` for one of integers. */
export function turnedTensor(matrix: HostTensor, key = ""): HostTensor {
  const [m = 1, n = 1] = matrix.shape;
  const data = floatNumbers(matrix, key);
  const turned = Float32Array.from(data, (_x, i) => data[(i % m) * n + Math.floor(i / m)]!);
  return fromFloat32(turned, "F32", [n, m]);
}
