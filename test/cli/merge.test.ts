/** `webpeft merge`: the gap that it prints compares two different programs, and would notice a wrong merge. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fixedBatch, logitGap } from "../../src/cli/merge.ts";
import { compile, loadModel, type Model, readAdapter, wasmTargetHere } from "../../src/index.ts";
import { type Graph, portRole } from "../../src/ir/graph.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { fromFloat32, toFloat32 } from "../../src/runtime/files/tensor.ts";
import { golden, llama, scratch, webpeft } from "./helpers.ts";

const folder = scratch();
const length = 32;
const on = { executor: wasmExecutor(), target: wasmTargetHere() };
const weight = "model.layers.1.self_attn.q_proj.weight";
const cases = ["llama-lora", "llama-oft", "llama-boft", "llama-ia3"];

const adapted = async (name: string, fold: boolean, batch = 1) => {
  const model = await loadModel(llama);
  const adapter = await readAdapter(join(golden, "cases", name));
  const program = await compile(model, adapter.config, { mode: "infer", batch, length, loaded: true, fold });
  return { model, adapter, program };
};

/** Nodes that make one tensor of a base weight and a parameter before any token comes in. */
function foldedWeights({ nodes }: Graph): number {
  const roles = nodes.map(() => new Set<string>());
  nodes.forEach((node, id) => {
    if (node.op === "port") roles[id]!.add(portRole(node));
    for (const input of node.inputs) for (const role of roles[input]!) roles[id]!.add(role);
  });
  return roles.filter((found) => found.has("weight") && found.has("param") && !found.has("input")).length;
}

/** The model with every entry of one weight moved by a part of it. */
const nudged = (model: Model, by: number): Model => ({
  ...model,
  weights: {
    ...model.weights,
    read: async (key) => {
      const tensor = await model.weights.read(key);
      if (key !== weight) return tensor;
      return fromFloat32(
        toFloat32(tensor).map((x) => x * (1 + by)),
        tensor.dtype,
        tensor.shape,
      );
    },
  },
});

describe("the logit gap of a merge", () => {
  it.each(cases)("is of two programs, small for a right merge and large for a wrong one: %s", async (name) => {
    const { model, adapter, program } = await adapted(name, false);
    expect(foldedWeights(program.graph("tensor"))).toBe(0);
    const session = await program.start({ device: "cpu", adapter });
    const { logits } = await session.forward(fixedBatch(program));
    const merged = await session.merge();
    const right = await logitGap(logits, merged, length, on);
    expect(right.gap).toBeGreaterThan(0);
    expect(right.gap).toBeLessThan(1e-5 * right.scale);
    for (const wrong of [model, nudged(merged, 0.01)])
      expect((await logitGap(logits, wrong, length, on)).gap).toBeGreaterThan(1e-3 * right.scale);
    session.dispose();
  });

  it("would be of two folded programs for a large batch if nothing forbade it", async () => {
    for (const fold of [true, false]) {
      const { program } = await adapted("llama-oft", fold, 64);
      expect(foldedWeights(program.graph("tensor")) > 0).toBe(fold);
    }
  });

  it("is what the command tells", () => {
    const source = ["--model", llama, "--adapter", join(golden, "cases/llama-oft")];
    const { code, stdout } = webpeft([
      "merge",
      ...source,
      "--out",
      join(folder, "merged"),
      "--device",
      "cpu",
      "--json",
    ]);
    const { largest_logit_gap: gap, largest_logit: scale } = JSON.parse(stdout) as Record<string, number>;
    expect(code).toBe(0);
    expect(gap).toBeGreaterThan(0);
    expect(gap).toBeLessThan(1e-5 * scale!);
  });
});
