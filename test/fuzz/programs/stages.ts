/** Training programs whose parameters decide something by themselves, with that in stages of its own. */
import { type Graph, portName, portRole } from "../../../src/ir/graph.ts";
import { sizeOf, type TensorType } from "../../../src/ir/types.ts";
import { verify } from "../../../src/ir/verify.ts";
import { PassManager } from "../../../src/passes/manager.ts";
import { type HoistedStage, lowerHoistedOperatorStage } from "../../../src/passes/pipeline.ts";
import { layoutStorage, type StoredTensor } from "../../../src/passes/storage.ts";
import type { ExecutableProgram } from "../../../src/program/index.ts";
import type { Executor } from "../../../src/runtime/executors/executor.ts";
import type { Engine } from "./compare.ts";
import type { RandomProgram } from "./draw.ts";

/** The stages of the gradients of a graph; undefined where its parameters decide nothing that is worth a stage. */
function hoistedOf(forward: Graph): HoistedStage | undefined {
  const manager = new PassManager({ verify: (graph) => verify(graph, "tensor"), now: () => 0 });
  manager.run("build", "micro", () => ({ graph: forward }));
  const stage = lowerHoistedOperatorStage(manager, "micro", { gradients: true });
  return stage.parameters === undefined ? undefined : stage;
}

const sizesOf = ({ nodes, outputs }: Graph, is: (name: string) => boolean): StoredTensor[] =>
  outputs
    .filter(({ name }) => is(name))
    .map(({ name, node }) => ({ key: name, size: sizeOf((nodes[node]!.type as TensorType).shape) }));

function programOf(forward: Graph, { main, parameters, backward }: HoistedStage): ExecutableProgram {
  const params = forward.nodes
    .filter((node) => node.op === "port" && portRole(node) === "param")
    .map((node) => ({ key: portName(node), size: sizeOf((node.type as TensorType).shape) }));
  const own = new Set(params.map(({ key }) => `grad.${key}`));
  const storage = layoutStorage(params, [], {
    train: true,
    hoisted: [sizesOf(parameters!, () => true)],
    gradients: sizesOf(main, (name) => name.startsWith("grad.") && !own.has(name)),
  });
  const stages = [
    { name: "micro_parameters", graph: parameters! },
    { name: "micro", graph: main },
    ...(backward === undefined ? [] : [{ name: "parameters_backward", graph: backward } as const]),
  ] as const;
  return { stages, storage };
}

/** Runs programs in stages on an executor; calls `skipped` for those that have but one. */
export const inStages = (executor: Executor, functions: number, skipped: () => void): Engine => ({
  name: `${executor.name}, in stages`,
  functions,
  mostWork: Number.POSITIVE_INFINITY,
  async run({ graph, forward, numbers, data }: RandomProgram) {
    const hoisted = forward && hoistedOf(forward);
    if (hoisted === undefined) {
      skipped();
      return undefined;
    }
    const program = programOf(forward!, hoisted);
    const instance = await executor.instantiate(program, data);
    try {
      const names = graph.outputs.map(({ name }) => name);
      return await instance.run(
        program.stages.map(({ name }) => name),
        numbers,
        names,
      );
    } finally {
      instance.dispose();
    }
  },
});
