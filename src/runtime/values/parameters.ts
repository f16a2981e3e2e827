/** The trained tensors of an adapter, as its instance has them now. */
import type { AdapterTensor, CompiledProgram } from "../../program.ts";
import type { AdapterEntry } from "../session/adapters.ts";
import { fromProgram } from "./rank-padding.ts";

export const trainedTensors = ({ adapter }: CompiledProgram): readonly AdapterTensor[] =>
  (adapter?.tensors ?? []).filter((tensor) => tensor.role === "param");

/** By checkpoint key, in the shapes of the file. */
export async function parametersOf({ program, instance }: AdapterEntry): Promise<Map<string, Float32Array>> {
  const params = new Map<string, Float32Array>();
  for (const { key } of trainedTensors(program))
    params.set(key, fromProgram(program.adapter, key, await instance.read(key)));
  return params;
}
