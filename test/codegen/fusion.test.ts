import { describe, expect, it } from "vitest";
import { cpuTarget, defaultLimits, defaultTarget, generate, targetOf } from "../../src/codegen/index.ts";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { portName } from "../../src/ir/graph.ts";
import { sizeOf, type TensorType } from "../../src/ir/types.ts";
import { updateGraph } from "../../src/passes/optimizer.ts";
import { layoutStorage } from "../../src/passes/storage.ts";
import type { ProgramStorage } from "../../src/program/index.ts";
import { difference, generator, noStorage } from "../runtime/executor-samples.ts";
import { attentionGraph, gatedGraph, loraForward, loraLinear, rmsNormGraph, softmaxGraph } from "./graphs.ts";
import { type Feeds, Simulation } from "./simulate.ts";

function feedsFor(graph: Graph, seed = 5): Feeds {
  const random = generator(seed);
  const entries = graph.nodes
    .filter((node) => node.op === "port")
    .map((node) => [
      portName(node),
      Float32Array.from({ length: sizeOf((node.type as TensorType).shape) }, () => random() - 0.5),
    ]);
  return Object.fromEntries(entries);
}

/** Dispatches of the graph; its numbers are checked on the way. */
function dispatches(graph: Graph, target = cpuTarget): number {
  const generated = generate([{ name: "forward", graph }], noStorage, target);
  const feeds = feedsFor(graph);
  const got = new Simulation(generated).run("forward", feeds);
  const expected = evaluate(graph, feeds);
  for (const name of Object.keys(expected)) expect(difference(got[name]!, expected[name]!.data)).toBeLessThan(1e-5);
  return generated.plan.stages[0]!.dispatches.length;
}

describe.each([cpuTarget, defaultTarget])("dispatches on a $kind target", (target) => {
  it.each([
    ["softmax", softmaxGraph(6, 20), 1],
    ["softmax of ragged rows", softmaxGraph(5, 7), 1],
    ["RMSNorm", rmsNormGraph(6, 24), 1],
    ["LoRA linear, forward", loraForward(8, 16, 4), 2],
    ["LoRA linear, forward and backward", loraLinear(8, 16, 4), 6],
    ["LoRA linear with ragged sizes", loraLinear(7, 13, 3), 6],
    ["gated activation", gatedGraph(8, 12, 20), 1],
    ["attention", attentionGraph(2, 6, 2, 4), 3],
  ])("%s", (_name, graph, count) => {
    expect(dispatches(graph, target)).toBeLessThanOrEqual(count);
  });

  it("chains of elementwise and movement ops are one kernel", () => {
    const k = new Builder("chain");
    const x = k.port("x", "input", "f32", [4, 6]);
    const y = k.reshape(k.transpose(k.add("tanh", [k.mul(x, x)]), [1, 0]), [3, 8]);
    const z = k.concat(
      [k.slice(y, [0, 2], [3, 6]), k.add("pad", [k.slice(y, [0, 0], [2, 2])], { low: [1, 0], high: [0, 0] })],
      1,
    );
    expect(dispatches(k.finish([{ name: "z", node: z }]), target)).toBe(1);
  });
});

describe("storage", () => {
  it("is written in place where every element is read where it is written", () => {
    const size = 256;
    const storage = layoutStorage([{ key: "w", size }], [], { train: true });
    const graph = updateGraph(size);
    const { plan } = generate([{ name: "update", graph }], storage, cpuTarget);
    expect(plan.stages[0]!.copies).toEqual([]);
    expect(plan.stages[0]!.dispatches.length).toBeLessThanOrEqual(5);
  });

  it("is copied at the end where a result would replace what is still read", () => {
    const k = new Builder("turn");
    const x = k.port("x", "param", "f32", [8, 8]);
    const graph = k.finish([{ name: "x", node: k.transpose(x, [1, 0]) }]);
    const storage: ProgramStorage = {
      buffers: [{ name: "params", size: 64 }],
      bindings: { x: { buffer: "params", offset: 0, size: 64 } },
    };
    const generated = generate([{ name: "forward", graph }], storage, cpuTarget);
    expect(generated.plan.stages[0]!.copies.length).toBe(1);
    const simulation = new Simulation(generated);
    simulation.write(
      { buffer: "params", offset: 0 },
      new Uint32Array(Float32Array.from({ length: 64 }, (_v, i) => i).buffer),
    );
    expect([...simulation.run("forward", {}).x!.slice(0, 3)]).toEqual([0, 8, 16]);
  });

  it("swaps two tensors", () => {
    const k = new Builder("swap");
    const [a, b] = ["a", "b"].map((name) => k.port(name, "param", "f32", [64])) as [number, number];
    const graph = k.finish([
      { name: "a", node: b },
      { name: "b", node: a },
    ]);
    const slice = (offset: number) => ({ buffer: "params", offset, size: 64 });
    const storage: ProgramStorage = {
      buffers: [{ name: "params", size: 128 }],
      bindings: { a: slice(0), b: slice(64) },
    };
    const simulation = new Simulation(generate([{ name: "forward", graph }], storage, cpuTarget));
    simulation.write(
      { buffer: "params", offset: 0 },
      new Uint32Array(Float32Array.from({ length: 128 }, (_v, i) => i).buffer),
    );
    const result = simulation.run("forward", {});
    expect([result.a![0], result.b![0]]).toEqual([64, 0]);
  });
});

describe("limits", () => {
  it("bf16 weights are read packed", () => {
    const k = new Builder("bf16");
    const x = k.port("x", "input", "f32", [8, 16]);
    const w = k.cast(k.port("W", "weight", "bf16", [12, 16]), "f32");
    const graph = k.finish([{ name: "y", node: k.einsum("ti,oi->to", x, w) }]);
    const generated = generate([{ name: "forward", graph }], noStorage, cpuTarget);
    expect(generated.plan.buffers.find((b) => b.name === "weights:bf16")!.bytes).toBe(512);
    const feeds = { x: feedsFor(graph).x!, W: Float32Array.from({ length: 192 }, (_v, i) => (i % 17) / 16) };
    const got = new Simulation(generated).run("forward", feeds);
    expect(difference(got.y!, evaluate(graph, feeds).y!.data)).toBeLessThan(1e-6);
  });

  it("sums of many tensors stay within eight bindings", () => {
    const k = new Builder("many");
    const parts = Array.from({ length: 30 }, (_v, i) => k.port(`w${i}`, "weight", "f32", [3, 4]));
    const graph = k.finish([{ name: "y", node: parts.reduce((a, b) => k.plus(a, b)) }]);
    const { plan } = generate([{ name: "forward", graph }], noStorage, cpuTarget);
    for (const d of plan.stages[0]!.dispatches)
      expect(d.bindings.length).toBeLessThanOrEqual(defaultLimits.maxStorageBuffersPerShaderStage);
    dispatches(graph);
  });

  it("a tensor beyond the binding limit is a coded error, unless the device can bind it", () => {
    const k = new Builder("large");
    const w = k.port("W", "weight", "f32", [40000, 1024]);
    const graph = k.finish([{ name: "y", node: k.sum(w, [1]) }]);
    expect(() => generate([{ name: "forward", graph }], noStorage, cpuTarget)).toThrow(
      expect.objectContaining({ code: "CODEGEN-BINDING-LIMIT" }),
    );
    const larger = targetOf({
      software: true,
      limits: { maxStorageBufferBindingSize: 2 ** 28, maxBufferSize: 2 ** 30 },
    });
    const { plan } = generate([{ name: "forward", graph }], noStorage, larger);
    expect(plan.stages[0]!.dispatches[0]!.bindings[0]!.size).toBe(40000 * 1024 * 4);
  });

  it("a matrix too large to invert is a coded error", () => {
    const k = new Builder("large");
    const graph = k.finish([{ name: "y", node: k.add("inverse", [k.port("x", "input", "f32", [1, 80, 80])]) }]);
    expect(() => generate([{ name: "forward", graph }], noStorage, cpuTarget)).toThrow(
      expect.objectContaining({ code: "CODEGEN-INVERSE-SIZE" }),
    );
  });
});
