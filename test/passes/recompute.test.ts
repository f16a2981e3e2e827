/** What is made again for the backward pass is the same numbers, from little that is kept. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import { type Graph, isRecomputed, ports } from "../../src/ir/graph.ts";
import { sizeOf, type TensorType } from "../../src/ir/types.ts";
import { verify } from "../../src/ir/verify.ts";
import { partition } from "../../src/passes/partition.ts";
import { recompute, segmentsOf } from "../../src/passes/recompute.ts";
import { randomNumbers } from "../models/helpers.ts";
import { tinyModel } from "../runtime/tiny-model.ts";

const ids = (count: number): number[] => Array.from({ length: count }, (_unused, i) => (i * 5 + 3) % 2);

async function microOf(layers: number, config: object): Promise<Graph> {
  const model = await tinyModel({ num_hidden_layers: layers });
  const { stages } = await compile(model, config, { batch: 2, length: 4 });
  return stages.find(({ name }) => name === "micro")!.graph;
}

/** Numbers for every port. */
const dataOf = (graph: Graph): Record<string, ArrayLike<number>> =>
  Object.fromEntries(
    ports(graph).map(({ name, node }, i) => {
      const { shape, dtype } = node.type as TensorType;
      return [name, dtype === "f32" ? randomNumbers(sizeOf(shape), i + 1, 0.3) : ids(sizeOf(shape))];
    }),
  );

const configs = {
  LoRA: { peft_type: "LORA", target_modules: ["q_proj", "v_proj"], r: 2, init_lora_weights: false },
  OFT: { peft_type: "OFT", target_modules: ["q_proj", "down_proj"], oft_block_size: 2, r: 0 },
  "trained norms": { peft_type: "LN_TUNING" },
};

describe.each(Object.entries(configs))("the forward pass of %s", (_name, config) => {
  it("has two parts a layer, of which any number may be made again", async () => {
    const graph = await microOf(3, config);
    const segments = segmentsOf(graph);
    expect(segments.length).toBeGreaterThanOrEqual(5);
    segments.forEach(({ from, to, saved }, i) => {
      expect([saved > 0, from < to, from >= (segments[i - 1]?.to ?? 0)]).toEqual([true, true, true]);
    });
    const data = dataOf(graph);
    const wanted = evaluate(graph, data);
    for (const count of [1, 2, segments.length]) {
      const again = recompute(graph, count).graph;
      verify(again, "tensor");
      const chunks = new Set(again.nodes.map(({ chunk }) => chunk).filter(isRecomputed));
      expect(chunks.size).toBe(count);
      expect(evaluate(again, data)).toEqual(wanted);
      // Equal nodes are one node wherever a graph is built anew: what is made again is not taken for what was.
      const parted = partition(again, 256, 2 ** 20).graph;
      expect(new Set(parted.nodes.map(({ chunk }) => chunk?.split("/")[0]).filter(isRecomputed)).size).toBe(count);
      for (const [name, { data: numbers }] of Object.entries(evaluate(parted, data)))
        for (const [i, x] of numbers.entries()) expect(x).toBeCloseTo(wanted[name]!.data[i]!, 10);
    }
  });
});

it("finds no parts where nothing is trained, and leaves such a graph as it is", async () => {
  const model = await tinyModel();
  const { stages } = await compile(model, null, { mode: "infer", batch: 1, length: 4 });
  const { graph } = stages.find(({ name }) => name === "forward")!;
  expect(segmentsOf(graph)).toEqual([]);
  fc.assert(fc.property(fc.nat(5), (count) => recompute(graph, count).graph === graph));
});
