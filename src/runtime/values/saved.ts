/** What the files of an adapter hold: trained tensors, frozen ones as they were read, and what is computed of the trained ones. */
import { evaluate } from "../../ir/evaluate.ts";
import { sizeOf } from "../../ir/types.ts";
import type { AdapterTensor, CompiledProgram } from "../../program/index.ts";
import { fromFloat32, type HostTensor, hostTensor, type TensorDtype } from "../files/tensor.ts";
import { keysInFile, shapeInFile, turnedTensor } from "./file-shape.ts";
import { encodeTopK, isTopK, topKSpecs } from "./top-k.ts";
import type { AdapterValues } from "./values.ts";

export interface SavedTensors {
  /** Of `adapter_model.safetensors`. */
  readonly tensors: ReadonlyMap<string, HostTensor>;
  /** Of `encoder.safetensors`, where the adapter has one. */
  readonly encoder?: ReadonlyMap<string, HostTensor>;
}

type Made = Pick<CompiledProgram, "adapter" | "computed">;
type Parameters = ReadonlyMap<string, Float32Array>;

const fileDtype = ({ fileDtype: dtype = "f32" }: AdapterTensor): TensorDtype => dtype.toUpperCase() as TensorDtype;

/** Computed tensors by key; empty where there are none. Evaluated in f64 and rounded once. */
export function computedValues({ computed }: Made, params: Parameters): Map<string, Float32Array> {
  const made = computed === undefined ? {} : evaluate(computed, Object.fromEntries(params));
  return new Map(Object.entries(made).map(([key, { data }]) => [key, Float32Array.from(data)]));
}

const isAsRead = (params: Parameters, values: AdapterValues): boolean =>
  [...params].every(([key, data]) => data.every((x, i) => Object.is(x, values.params.get(key)?.[i])));

/** The tensors of the adapter's files: trained ones in f32, frozen ones as they were read, computed ones too while nothing was trained. */
export function savedTensors(program: Made, params: Parameters, values: AdapterValues): SavedTensors {
  const plan = program.adapter!;
  const saved = new Map<string, HostTensor>(values.asRead);
  const encoder = new Map<string, HostTensor>();
  const stale = program.computed !== undefined && !isAsRead(params, values);
  for (const { key, role } of plan.tensors) if (stale && role === "computed") saved.delete(key);
  const hasAll = plan.tensors.every(({ key, role }) => role !== "computed" || saved.has(key));
  const computed = hasAll ? new Map<string, Float32Array>() : computedValues(program, params);
  const dataOf = ({ key, role }: AdapterTensor): Float32Array | Int32Array | undefined =>
    ({ param: params, buffer: values.buffers, computed })[role].get(key);
  for (const tensor of plan.tensors.filter((t) => t.saved)) {
    const data = dataOf(tensor);
    const keys = isTopK(tensor) ? topKSpecs(tensor) : keysInFile(tensor);
    if (data === undefined || keys.some(({ key }) => saved.has(key))) continue;
    if (data.length !== sizeOf(tensor.shape)) throw new Error(`${tensor.key} has ${data.length} numbers`);
    if (isTopK(tensor)) {
      for (const [key, value] of encodeTopK(tensor, Float32Array.from(data))) saved.set(key, value);
      continue;
    }
    const shape = shapeInFile(tensor.shape, tensor.patchForm);
    const host =
      data instanceof Int32Array
        ? hostTensor("I32", shape, data)
        : (values.forms.get(tensor.key)?.(data) ?? fromFloat32(data.slice(), fileDtype(tensor), shape));
    for (const { key, turned } of keysInFile(tensor))
      (tensor.file === undefined ? saved : encoder).set(key, turned ? turnedTensor(host) : host);
  }
  return encoder.size === 0 ? { tensors: saved } : { tensors: saved, encoder };
}
