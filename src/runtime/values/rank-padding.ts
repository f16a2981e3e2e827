/** Tensors of adapters in programs that hold them padded with zeros (see `CompileOptions.maximumRank`). */
import { sizeOf } from "../../ir/types.ts";
import type { AdapterPlan } from "../../program/index.ts";

/** Copies the block that both arrays have from one to the other; what lies outside of it is zero. */
function resized(data: Float32Array, from: readonly number[], to: readonly number[]): Float32Array {
  const result = new Float32Array(sizeOf(to));
  const copy = (axis: number, source: number, target: number): void => {
    const extent = Math.min(from[axis]!, to[axis]!);
    if (axis === from.length - 1) {
      result.set(data.subarray(source * from[axis]!, source * from[axis]! + extent), target * to[axis]!);
      return;
    }
    for (let i = 0; i < extent; i++) copy(axis + 1, source * from[axis]! + i, target * to[axis]! + i);
  };
  copy(0, 0, 0);
  return result;
}

/** The tensor under a key as the program holds it. */
export function toProgram(plan: AdapterPlan | undefined, key: string, data: Float32Array): Float32Array {
  const to = plan?.padded.get(key);
  return to === undefined ? data : resized(data, fileShape(plan!, key), to);
}

/** The tensor under a key as the adapter's file holds it. */
export function fromProgram(plan: AdapterPlan | undefined, key: string, data: Float32Array): Float32Array {
  const from = plan?.padded.get(key);
  return from === undefined ? data : resized(data, from, fileShape(plan!, key));
}

const fileShape = (plan: AdapterPlan, key: string): readonly number[] =>
  plan.tensors.find((tensor) => tensor.key === key)!.shape;
