/** The stages of a program in their order, and the storage in which they meet. */
import { compact, type Graph } from "../ir/graph.ts";
import { sizeOf, type TensorType } from "../ir/types.ts";
import { accumulateGraph, updateGraph } from "../passes/optimizer.ts";
import type { joinPrepared } from "../passes/prepare.ts";
import { layoutStorage } from "../passes/storage.ts";
import type { AdapterPlan, ProgramStorage, Stage, StageName } from "../program/index.ts";

/** The stages that hold the model, by name, and what they take from frozen data. */
export type ModelStages = ReturnType<typeof joinPrepared> & { readonly names: readonly StageName[] };

export function programStorage(
  adapter: AdapterPlan | undefined,
  { derived, mains, names }: ModelStages,
  accumulate: boolean,
): ProgramStorage {
  const reports = new Set(adapter?.reports);
  const reported = mains.flatMap(({ nodes, outputs }) =>
    outputs.flatMap(({ name, node }) =>
      reports.delete(name) ? [{ key: name, size: sizeOf((nodes[node]!.type as TensorType).shape) }] : [],
    ),
  );
  const params = (adapter?.tensors ?? []).filter((tensor) => tensor.role === "param");
  return layoutStorage(
    params.map(({ key, shape }) => ({ key, size: sizeOf(adapter?.padded.get(key) ?? shape) })),
    derived.map(({ name, shape }) => ({ key: name, size: sizeOf(shape) })),
    { train: names.includes("micro"), accumulate, reports: reported },
  );
}

export function programStages(
  { derived, prepare, mains, names }: ModelStages,
  { projection, accumulate }: { readonly projection: Graph | undefined; readonly accumulate: boolean },
  storage: ProgramStorage,
): Stage[] {
  const stages: Stage[] = [];
  if (derived.length > 0) stages.push({ name: "prepare", graph: prepare });
  if (projection !== undefined && names.includes("micro")) stages.push({ name: "project", graph: compact(projection) });
  stages.push(...names.map((name, i) => ({ name, graph: mains[i]! })));
  if (!names.includes("micro")) return stages;
  const size = storage.buffers.find((buffer) => buffer.name === "params")!.size;
  if (accumulate) stages.push({ name: "accumulate", graph: accumulateGraph(size) });
  stages.push({ name: "update", graph: updateGraph(size, { accumulate }) });
  return stages;
}
