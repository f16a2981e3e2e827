/** The stages of a program in their order, and the storage in which they meet. */
import { Builder } from "../ir/builder.ts";
import { compact, type Graph, type Output } from "../ir/graph.ts";
import { sizeOf, type TensorType } from "../ir/types.ts";
import { accumulateGraph, updateGraph } from "../passes/optimizer.ts";
import type { HoistedStage } from "../passes/pipeline.ts";
import { type JoinedStages, renamePorts } from "../passes/prepare.ts";
import { rebuild } from "../passes/rewrite.ts";
import { layoutStorage, type StoredTensor, totalOf } from "../passes/storage.ts";
import {
  type AdapterPlan,
  type MainStage,
  type ProgramStorage,
  parameterStages,
  type Stage,
} from "../program/index.ts";

/** The stages that hold the model with those of parameters alone, and what they take from frozen data. */
export interface ModelStages extends Pick<JoinedStages, "prepare" | "derived"> {
  readonly stages: readonly Stage[];
}

export interface StageFacts {
  readonly accumulate: boolean;
  /** Parameters to tensors of the adapter's file; outputs of the stage of parameters before evaluation, made when they are wanted. */
  readonly computed: Graph | undefined;
}

const joined = (name: string, graphs: readonly Graph[]): Graph => {
  const builder = new Builder(name);
  const outputs = graphs.map((graph): Output[] => {
    const ids = rebuild(graph, builder);
    return graph.outputs.map((output) => ({ name: output.name, node: ids[output.node]! }));
  });
  return builder.finish(outputs.flat());
};

/** A graph on sums of gradients instead of those of one micro-batch. */
function ofSums(graph: Graph): Graph {
  const renamed = renamePorts(graph, totalOf);
  return { ...renamed, outputs: renamed.outputs.map(({ name, node }) => ({ name: totalOf(name), node })) };
}

/** A stage that holds the model, behind the stage that it takes values of parameters from and before their backward pass. */
export function stagesOf(name: MainStage, hoisted: HoistedStage, { accumulate, computed }: StageFacts): Stage[] {
  const { main, parameters, backward } = hoisted;
  const before = parameterStages[name];
  const own = [parameters, name === "forward" ? computed : undefined].filter((graph) => graph !== undefined);
  const stages: Stage[] = own.length === 0 ? [] : [{ name: before, graph: joined(before, own) }];
  stages.push({ name, graph: main });
  if (backward !== undefined)
    stages.push({ name: "parameters_backward", graph: accumulate ? ofSums(backward) : backward });
  return stages;
}

const outputSize = ({ nodes }: Graph, { name, node }: Output): StoredTensor => ({
  key: name,
  size: sizeOf((nodes[node]!.type as TensorType).shape),
});

export function programStorage(
  adapter: AdapterPlan | undefined,
  { derived, stages }: ModelStages,
  { accumulate, computed }: StageFacts,
): ProgramStorage {
  const reports = new Set(adapter?.reports);
  const outputs = (graph: Graph | undefined, is: (name: string) => boolean): StoredTensor[] =>
    (graph?.outputs ?? []).filter(({ name }) => is(name)).map((output) => outputSize(graph!, output));
  const reported = stages.flatMap(({ graph }) => outputs(graph, (name) => reports.delete(name)));
  const inFile = new Set(computed?.outputs.map(({ name }) => name));
  const hoisted = Object.values(parameterStages).map((before) =>
    outputs(stages.find(({ name }) => name === before)?.graph, (name) => !inFile.has(name)),
  );
  const params = (adapter?.tensors ?? []).filter((tensor) => tensor.role === "param");
  const micro = stages.find(({ name }) => name === "micro")?.graph;
  const ownGradients = new Set(params.map(({ key }) => `grad.${key}`));
  return layoutStorage(
    params.map(({ key, shape }) => ({ key, size: sizeOf(adapter?.padded.get(key) ?? shape) })),
    derived.map(({ name, shape }) => ({ key: name, size: sizeOf(shape) })),
    {
      ...{ train: micro !== undefined, accumulate, reports: reported, hoisted },
      gradients: outputs(micro, (name) => name.startsWith("grad.") && !ownGradients.has(name)),
    },
  );
}

export function programStages(
  { derived, prepare, stages }: ModelStages,
  { projection, accumulate }: { readonly projection: Graph | undefined; readonly accumulate: boolean },
  storage: ProgramStorage,
): Stage[] {
  const before: Stage[] = derived.length > 0 ? [{ name: "prepare", graph: prepare }] : [];
  const trains = stages.some(({ name }) => name === "micro");
  if (!trains) return [...before, ...stages];
  if (projection !== undefined) before.push({ name: "project", graph: compact(projection) });
  const size = (name: string): number => storage.buffers.find((buffer) => buffer.name === name)!.size;
  const isBackward = ({ name }: Stage): boolean => name === "parameters_backward";
  return [
    ...before,
    ...stages.filter((stage) => !isBackward(stage)),
    ...(accumulate ? [{ name: "accumulate" as const, graph: accumulateGraph(size("grads")) }] : []),
    ...stages.filter(isBackward),
    { name: "update", graph: updateGraph(size("params"), { accumulate, gradients: size("grads") }) },
  ];
}
