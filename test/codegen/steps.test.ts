/** The steps of code generation as text, for graphs small enough to be read: who computes what, where it is, when it runs. */
import { describe, expect, it } from "vitest";
import { arrange, cpuTarget, defaultTarget, generate } from "../../src/codegen/index.ts";
import { Builder } from "../../src/ir/builder.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { ProgramStorage } from "../../src/program/index.ts";
import { noStorage } from "../runtime/executor-samples.ts";
import { attentionGraph, loraForward, rmsNormGraph } from "./graphs.ts";
import { printDispatches, printSteps } from "./print-steps.ts";

/** Two parameters that change places: each is read where the other is written. */
function swap(): { graph: Graph; storage: ProgramStorage } {
  const k = new Builder("swap");
  const [a, b] = ["a", "b"].map((name) => k.port(name, "param", "f32", [64])) as [number, number];
  const graph = k.finish([
    { name: "a", node: b },
    { name: "b", node: a },
  ]);
  const slice = (offset: number) => ({ buffer: "params", offset, size: 64 });
  return {
    graph,
    storage: { buffers: [{ name: "params", size: 128 }], bindings: { a: slice(0), b: slice(64) } },
  };
}

function textOf(graph: Graph, storage: ProgramStorage, target = cpuTarget): string {
  const stages = [{ name: "forward" as const, graph }];
  const { steps } = arrange(stages, storage, target);
  const { plan } = generate(stages, storage, target);
  return `${printSteps(steps[0]!)}\n\n${printDispatches(plan.stages[0]!)}\n`;
}

describe.each([cpuTarget, defaultTarget])("steps for a $kind target", (target) => {
  it.each([
    ["a product with a low-rank update", loraForward(64, 64, 8)],
    ["RMSNorm", rmsNormGraph(64, 128)],
    ["attention", attentionGraph(2, 6, 2, 4)],
  ])("%s", (_name, graph) => {
    expect(textOf(graph, noStorage, target)).toMatchSnapshot();
  });

  it("two parameters that change places", () => {
    const { graph, storage } = swap();
    expect(textOf(graph, storage, target)).toMatchSnapshot();
  });
});

it("results of stages that hold the model are in one place, those of others are not touched", () => {
  const graphs = (["micro", "forward", "merge", "predict"] as const).map((name, i) => {
    const k = new Builder(name);
    const x = k.port("x", "input", "f32", [64 * (i + 1)]);
    return { name, graph: k.finish([{ name: "y", node: k.neg(x) }]) };
  });
  const { plan } = generate(graphs, noStorage, cpuTarget);
  const places = plan.stages.map(({ name, outputs: [y] }) => [name, y!.buffer, y!.offset]);
  expect(places).toEqual([
    ["micro", "outputs", 0],
    ["forward", "outputs", 0],
    ["merge", "outputs", 512],
    ["predict", "outputs", 1280],
  ]);
  expect(plan.buffers.find(({ name }) => name === "outputs")!.bytes).toBe(1280 + 4 * 256);
});
