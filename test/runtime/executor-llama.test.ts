import { beforeAll, describe, expect, it } from "vitest";
import { evaluate } from "../../src/ir/evaluate.ts";
import { type Graph, ports } from "../../src/ir/graph.ts";
import { buildModel } from "../../src/models/index.ts";
import { associate } from "../../src/passes/associate.ts";
import { attach } from "../../src/passes/attach.ts";
import { differentiate } from "../../src/passes/differentiate.ts";
import { rewrite } from "../../src/passes/rewrite.ts";
import { expandRules } from "../../src/passes/simplify.ts";
import type { Executor, PortSource } from "../../src/runtime/executors/executor.ts";
import { tfjsExecutor } from "../../src/runtime/executors/tfjs/executor.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { lowerModel, readJson, readTensors, relativeError } from "../models/helpers.ts";
import { programOf } from "./executor-samples.ts";

const config = readJson("bases/llama/config.json");
const weights = readTensors("bases/llama/model.safetensors");
const batch = readTensors("base-outputs/llama/inputs.safetensors");
const expected = readTensors("base-outputs/llama/expected.safetensors");
const counted = Array.from(batch.labels!).filter((label, i) => i % 8 !== 0 && label !== -100).length;
const inputs = { ...batch, label_scale: [1 / counted] };

const model = (): Graph =>
  buildModel(config, { batch: 2, length: 8, labels: true, mask: true, weightTypes: () => "f32" }).graph;

/** The base model with every weight trained, and the gradients of all of them. */
/** With the formulas of composite ops, which executors know. */
const expanded = (graph: Graph): Graph => rewrite(graph, expandRules).graph;

function trainedModel(): Graph {
  const base = model();
  const trained = new Map(ports(base, "weight").map(({ name }) => [name, `trained.${name}`]));
  const lowered = associate(attach(base, { sites: new Map(), trained }), { train: true }).graph;
  return expanded(differentiate(lowered));
}

describe.each([
  ["TensorFlow.js", () => tfjsExecutor()],
  ["WebAssembly", async () => wasmExecutor()],
])("llama on %s", (_name, make) => {
  let executor: Executor;
  beforeAll(async () => {
    executor = await make();
  });

  it("has the logits and the loss of transformers", async () => {
    const data = new Map(Object.entries(weights) as [string, PortSource][]);
    const instance = await executor.instantiate(programOf({ forward: expanded(lowerModel(model())) }), data);
    for (let run = 0; run < 2; run++) {
      const { logits, loss } = await instance.run(["forward"], inputs, ["logits", "loss"]);
      expect(relativeError(logits!, expected.logits!)).toBeLessThan(1e-5);
      expect(relativeError(loss!, expected.loss!)).toBeLessThan(1e-5);
    }
    instance.dispose();
    const spoiled = new Map([
      ...data,
      ["model.norm.weight", Float32Array.from(weights["model.norm.weight"]!, (x) => x * 1.001)],
    ]);
    const other = await executor.instantiate(
      programOf({ forward: expanded(lowerModel(model())) }),
      spoiled as Map<string, PortSource>,
    );
    expect(relativeError((await other.run(["forward"], inputs, ["logits"])).logits!, expected.logits!)).toBeGreaterThan(
      1e-4,
    );
    other.dispose();
  });

  it("has the gradients of f64 evaluation for every weight", async () => {
    const graph = trainedModel();
    const copies = Object.fromEntries(Object.entries(weights).map(([name, data]) => [`trained.${name}`, data]));
    const all = { ...weights, ...copies, ...inputs };
    const exact = evaluate(graph, all);
    const data = new Map(Object.entries({ ...weights, ...copies }) as [string, PortSource][]);
    const instance = await executor.instantiate(programOf({ micro: graph }), data);
    const names = graph.outputs.map((o) => o.name).filter((name) => name.startsWith("grad."));
    expect(names.length).toBe(ports(graph, "param").length);
    const gradients = await instance.run(["micro"], inputs, names);
    for (const name of names) expect(relativeError(gradients[name]!, exact[name]!.data), name).toBeLessThan(1e-4);
    instance.dispose();
  });
});
