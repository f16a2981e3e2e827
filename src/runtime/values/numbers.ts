/** The numbers of an adapter's file as its tensors want them: floats are floats and finite, constants those of the program. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { AdapterPlan, AdapterTensor } from "../../program/index.ts";
import { checkFinite, type HostTensor, type TensorDtype, toFloat32, toInt32 } from "../files/tensor.ts";
import type { AdapterTensors } from "./values.ts";

/** A file of which every tensor that is read is finite. Reading throws `DATA-TENSOR-NOT-FINITE`. */
export const finiteTensors = (file: AdapterTensors): AdapterTensors => ({
  ...file,
  async read(key) {
    const tensor = await file.read(key);
    checkFinite(key, tensor, file.name);
    return tensor;
  },
});

const floatTypes: readonly TensorDtype[] = ["F32", "F16", "BF16", "F64"];

/** The numbers of a tensor that trains, or that is computed with. Throws `FILE-ADAPTER-DTYPE` for one of integers. */
export function floatNumbers(value: HostTensor, key: string): Float32Array {
  if (floatTypes.includes(value.dtype)) return toFloat32(value).slice();
  throw new WebpeftError("FILE-ADAPTER-DTYPE", {
    message: "a tensor of the adapter's file holds integers where the method has floats",
    where: key,
    expected: "F32, F16 or BF16",
    got: value.dtype,
    help: "The file is damaged, or was quantised by a tool that PEFT does not know.",
  });
}

/**
 * Throws `FILE-ADAPTER-CONSTANT` where a constant has other numbers than the program was made of: those of the method's formula, which went
 * through functions that are worked out when it is compiled.
 */
export function checkConstant(plan: AdapterPlan, { key, pinned }: AdapterTensor, data: ArrayLike<number>): void {
  const made = plan.data.get(key);
  if (pinned !== true || made === undefined) return;
  const at = made.findIndex((x: number, i: number) => x !== data[i]);
  if (at < 0) return;
  throw new WebpeftError("FILE-ADAPTER-CONSTANT", {
    message: "a constant of the file differs from the method's formula, of which the program is made",
    where: `${key}[${at}]`,
    expected: String(made[at]),
    got: String(data[at]),
    help: "Read the constant as a tensor (gather, sparse): functions of host numbers, such as quotient and grid, are worked out when the program is compiled.",
  });
}

/** Throws `FILE-ADAPTER-PLACES` for places outside their array, out of order or there twice. */
export function checkPlaces({ key, within }: AdapterTensor, value: HostTensor): void {
  if (within === undefined) return;
  const numbers = wholeNumbers(value, key);
  const count = numbers.length / within.length;
  let before = -1;
  for (let k = 0; k < count; k++) {
    const place = within.map((_n, axis) => numbers[axis * count + k]!);
    const isInside = place.every((n, axis) => n >= 0 && n < within[axis]!);
    const flat = place.reduce((sum, n, axis) => sum * within[axis]! + n, 0);
    if (!isInside || flat <= before) {
      throw new WebpeftError("FILE-ADAPTER-PLACES", {
        message: isInside ? "the places of a tensor are not in increasing order" : "a place lies outside its array",
        where: `${key}[:, ${k}]`,
        expected: `places in [${within.join(", ")}], row by row, each once`,
        got: `[${place.join(", ")}]`,
      });
    }
    before = flat;
  }
}

/** Integers; PEFT on Windows has written them as f32. */
export function wholeNumbers(value: HostTensor, key: string): Int32Array {
  return value.dtype === "F32" ? Int32Array.from(toFloat32(value)) : toInt32(value, key).slice();
}
