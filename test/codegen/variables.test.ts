/** Variables in the texts of kernels know the nodes whose values they hold, whatever schedule wrote them. */
import { beforeAll, describe, expect, it } from "vitest";
import {
  cpuTarget,
  defaultTarget,
  type Generated,
  type GeneratedKernel,
  generate,
  type Target,
  wasmTarget,
} from "../../src/codegen/index.ts";
import type { Expr } from "../../src/codegen/kernel/kernel.ts";
import { readable } from "../../src/codegen/kernel/readable.ts";
import { visitStatements } from "../../src/codegen/kernel/walk.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { opRecord } from "../../src/ir/registry.ts";
import type { Model } from "../../src/runtime/files/model.ts";
import { adapters, compileAdapter, llama } from "../budgets/llama.ts";
import { part } from "../extent.ts";
import { noStorage, sampleGraph } from "../runtime/executor-samples.ts";
import { loraForward, rmsNormGraph } from "./graphs.ts";

/** What a text declares that is no index: names with what they are made of. */
function declared({ ir }: GeneratedKernel): Map<string, Expr> {
  const found = new Map<string, Expr>();
  visitStatements(readable(ir).kernel.body, (s) => {
    if (s.kind !== "let" && s.kind !== "var" && s.kind !== "array" && s.kind !== "subgroup") return;
    const value = s.kind === "array" ? s.values[0]! : s.value;
    if (value.type !== "u32") found.set(s.name, value);
  });
  return found;
}

/** Ops whose values other ops are written for. */
const ofOtherOps = ["pad", "concat", "iota", "inverse", "reduce_max"];

/** What is wrong with what the variables of all dispatches are said to hold, and how many were looked at. */
function faults(generated: Generated, graphs: ReadonlyMap<string, Graph>): { wrong: string[]; count: number } {
  const kernels = new Map(generated.kernels.map((kernel) => [kernel.name, kernel]));
  const wrong: string[] = [];
  let count = 0;
  for (const [i, { name: stage, dispatches }] of generated.plan.stages.entries()) {
    const { nodes } = graphs.get(stage)!;
    dispatches.forEach((dispatch, at) => {
      const kernel = kernels.get(dispatch.kernel)!;
      const [held] = generated.variables[i]!.dispatches[at]!;
      const touched = generated.tensors[i]!.dispatches[at]!;
      const near = new Set(dispatch.nodes.flatMap((id) => [id, ...nodes[id]!.inputs]));
      for (const use of touched) near.add(use.node);
      for (const [name, value] of declared(kernel)) {
        const node = held!.get(name) ?? -1;
        const { op = "nothing" } = nodes[node] ?? {};
        const isRead = value.kind !== "load" || touched[value.tensor]!.node === node;
        const isOp = value.kind !== "op" || op === value.op || ofOtherOps.includes(op);
        count++;
        if (!near.has(node) || !isRead || !isOp) wrong.push(`${stage}/${at} ${kernel.name} ${name}: %${node} ${op}`);
      }
      for (const part of generated.variables[i]!.dispatches[at]!)
        for (const [name, node] of part)
          if (!new RegExp(`\\b${name}\\b`).test(kernel.wgsl) || !near.has(node)) wrong.push(`${kernel.name} ${name}`);
    });
  }
  return { wrong, count };
}

describe("variables of a kernel", () => {
  let model: Model;
  beforeAll(async () => {
    model = await llama();
  });

  it.each(part(Object.keys(adapters), 3, 1))("of %s hold values of its nodes", async (name) => {
    const { generated, stages } = await compileAdapter(model, name, {});
    const { wrong, count } = faults(generated, new Map(stages.map((stage) => [stage.name, stage.graph])));
    expect(wrong).toEqual([]);
    expect(count).toBeGreaterThan(100);
  });

  const samples = ["inverse", "scatter_add", "tanh", "pad", "concat", "gather"].map(opRecord);
  const graphs = [
    ...samples.map((record) => sampleGraph(record, record.samples!()[0]!)),
    ...[loraForward(512, 512, 8), rmsNormGraph(64, 128)],
  ];
  const targets: Record<string, Target> = {
    ...{ cpu: cpuTarget, default: defaultTarget, wasm: wasmTarget },
    subgroups: { ...defaultTarget, features: ["subgroups"] },
  };
  it.each(Object.entries(targets))("hold values of its nodes in all schedules, for %s", (_name, target) => {
    for (const graph of graphs) {
      const generated = generate([{ name: "forward", graph }], noStorage, target);
      const { wrong, count } = faults(generated, new Map([["forward", generated.tensors[0]!.graph]]));
      expect(wrong).toEqual([]);
      expect(count).toBeGreaterThan(0);
    }
  });
});
