import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { evaluate } from "../../src/ir/evaluate.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { opRecords } from "../../src/ir/registry.ts";
import type { RunInputs } from "../../src/runtime/executors/executor.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { randomGraph } from "./executor-random-graph.ts";
import { difference, generator, programOf, sampleGraph, sampleInputs } from "./executor-samples.ts";

const tensorOps = opRecords().filter((record) => record.opClass !== "operator" && record.name !== "port");
const executor = wasmExecutor();

async function runOnce(graph: Graph, inputs: RunInputs): Promise<Record<string, Float32Array>> {
  const instance = await executor.instantiate(programOf({ forward: graph }), new Map());
  try {
    return await instance.run(
      ["forward"],
      inputs,
      graph.outputs.map((o) => o.name),
    );
  } finally {
    instance.dispose();
  }
}

describe("WebAssembly", () => {
  it.each(tensorOps.map((record) => [record.name, record] as const))(
    "%s equals f64 evaluation",
    async (_name, record) => {
      const random = generator(7);
      for (const sample of record.samples!()) {
        const graph = sampleGraph(record, sample);
        const inputs = sampleInputs(sample, random);
        const expected = evaluate(graph, inputs).y!.data;
        expect(difference((await runOnce(graph, inputs)).y!, expected)).toBeLessThan(1e-5);
      }
    },
  );

  it("agrees with f64 evaluation on random graphs", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), async (seed) => {
        const { graph, inputs } = randomGraph(seed);
        const expected = evaluate(graph, inputs);
        const got = await runOnce(graph, inputs);
        for (const { name } of graph.outputs)
          expect(difference(got[name]!, expected[name]!.data), name).toBeLessThan(1e-4);
      }),
      { seed: 20, numRuns: 200 },
    );
  });
});
