/** An adapter on a device: its trained tensors as they are now, and what it reports. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { TensorType } from "../../ir/types.ts";
import { type AdapterTensor, type CompiledProgram, parameterStages } from "../../program/index.ts";
import type { Instance } from "../executors/executor.ts";
import { fromProgram } from "./rank-padding.ts";
import type { AdapterValues, LoadedProgram } from "./values.ts";

export interface RunningAdapter extends LoadedProgram {
  readonly instance: Instance;
  /** Optimizer steps done. */
  step: number;
}

export const trainedTensors = ({ adapter }: CompiledProgram): readonly AdapterTensor[] =>
  (adapter?.tensors ?? []).filter((tensor) => tensor.role === "param");

/** The trained tensors by checkpoint key, in the shapes of the file. */
export async function parametersOf({ program, instance }: RunningAdapter): Promise<Map<string, Float32Array>> {
  const params = new Map<string, Float32Array>();
  for (const { key } of trainedTensors(program))
    params.set(key, fromProgram(program.adapter, key, await instance.read(key)));
  return params;
}

/** What the adapter's file holds of computed tensors, by key, as the instance computes them. */
export async function computedOf({ program, instance }: RunningAdapter): Promise<Map<string, Float32Array>> {
  const keys = (program.computed?.outputs ?? []).map(({ name }) => name);
  if (keys.length === 0) return new Map();
  return new Map(Object.entries(await instance.run([parameterStages.forward], {}, keys)));
}

/** The numbers that an adapter has now; it must be the one in use. */
export const currentValues = async (entry: RunningAdapter): Promise<AdapterValues> => ({
  ...entry.values,
  params: await parametersOf(entry),
});

/** Numbers that a method reports of a forward pass, row-major; zeros before the first pass. */
export interface Report {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Throws `SESSION-REPORT` for a name that nothing is reported under. */
export async function readReport({ program, instance }: RunningAdapter, name: string): Promise<Report> {
  for (const { graph } of program.stages) {
    const output = graph.outputs.find((one) => one.name === name);
    if (output === undefined || !(program.adapter?.reports ?? []).includes(name)) continue;
    return { shape: (graph.nodes[output.node]!.type as TensorType).shape, data: await instance.read(name) };
  }
  throw new WebpeftError("SESSION-REPORT", {
    message: "the adapter in use reports nothing under that name",
    where: name,
    expected: program.adapter?.reports.join(", ") || "an adapter that reports something",
  });
}
