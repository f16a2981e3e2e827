/** Kernel IR = f64 evaluation, by interpretation in JavaScript, for every op and for random graphs, for both kinds of target. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  cpuTarget,
  defaultTarget,
  type Generated,
  generate,
  type KernelIR,
  wasmTarget,
} from "../../src/codegen/index.ts";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { opRecords } from "../../src/ir/registry.ts";
import { randomGraph } from "../runtime/executor-random-graph.ts";
import { difference, generator, noStorage, sampleGraph, sampleInputs } from "../runtime/executor-samples.ts";
import { type Feeds, Simulation } from "./simulate.ts";

const targets = [cpuTarget, defaultTarget, wasmTarget];
const records = opRecords().filter((r) => r.opClass !== "operator" && r.samples !== undefined);

function gap(generated: Generated, graph: Graph, inputs: Feeds): number {
  const got = new Simulation(generated).run("forward", inputs);
  const expected = evaluate(graph, inputs);
  return Math.max(...Object.keys(expected).map((name) => difference(got[name]!, expected[name]!.data)));
}

const generateFor = (graph: Graph, target = cpuTarget): Generated =>
  generate([{ name: "forward", graph }], noStorage, target);

describe.each(targets)("kernels for a $kind target", (target) => {
  it.each(records)("$name", (record) => {
    for (const sample of record.samples!()) {
      const graph = sampleGraph(record, sample);
      expect(gap(generateFor(graph, target), graph, sampleInputs(sample, generator(1)))).toBeLessThan(1e-5);
    }
  });

  it.each(["before", "behind"])("a value that a guard narrows, %s the whole of it", (place) => {
    const k = new Builder("narrowed");
    const whole = k.concat([k.port("a", "input", "f32", [2]), k.port("b", "input", "f32", [7])], 0);
    const part = k.add("pad", [k.slice(whole, [2], [5])], { low: [2], high: [4] });
    const graph = k.finish([{ name: "y", node: place === "before" ? k.sub(part, whole) : k.sub(whole, part) }]);
    expect(gap(generateFor(graph, target), graph, { a: [1, 2], b: [3, 4, 5, 6, 7, 8, 9] })).toBe(0);
  });

  it("random graphs", () => {
    fc.assert(
      fc.property(fc.nat(1e6), fc.integer({ min: 4, max: 24 }), (seed, length) => {
        const { graph, inputs } = randomGraph(seed, length);
        const generated = generateFor(graph, target);
        const bound = generated.plan.stages[0]!.dispatches.map((d) => d.bindings.length);
        expect(Math.max(0, ...bound)).toBeLessThanOrEqual(target.limits.maxStorageBuffersPerShaderStage);
        // Again: randomGraph(seed, length) with the numbers that fast-check prints.
        expect(gap(generated, graph, inputs)).toBeLessThan(1e-4);
      }),
      { seed: 7, numRuns: 150 },
    );
  });
});

/** The kernel with the first op of a kind replaced by another. */
const broken = (ir: KernelIR): KernelIR =>
  JSON.parse(JSON.stringify(ir).replace(/"op":"(tanh|add|mul|maximum)"/, '"op":"sub"')) as KernelIR;

describe("the comparison", () => {
  it("fails when a kernel does something else", () => {
    const { graph, inputs } = randomGraph(11, 12);
    const right = generateFor(graph);
    const wrong = {
      ...right,
      kernels: right.kernels.map((k) => ({ ...k, ir: broken(k.ir) })),
    };
    expect(gap(right, graph, inputs)).toBeLessThan(1e-5);
    expect(() => expect(gap(wrong, graph, inputs)).toBeLessThan(1e-4)).toThrow();
  });
});
