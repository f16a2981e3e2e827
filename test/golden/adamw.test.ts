/** Four steps of torch's AdamW on real gradients: LN tuning trains copies of the norms' gains, which needs no adapter formula. */

import { describe, expect, it } from "vitest";
import { type Fed, feed } from "../../src/ir/run-inputs.ts";
import { buildModel } from "../../src/models/index.ts";
import { associate } from "../../src/passes/associate.ts";
import { attach } from "../../src/passes/attach.ts";
import { differentiate } from "../../src/passes/differentiate.ts";
import { biasCorrections, updateGraph } from "../../src/passes/optimizer.ts";
import { rewrite } from "../../src/passes/rewrite.ts";
import { simplifyRules } from "../../src/passes/simplify.ts";
import { layoutStorage } from "../../src/passes/storage.ts";
import type { Executor, PortSource } from "../../src/runtime/executors/executor.ts";
import { referenceExecutor } from "../../src/runtime/executors/reference.ts";
import { tfjsExecutor } from "../../src/runtime/executors/tfjs/executor.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { programOf } from "../runtime/executor-samples.ts";
import { deviation, type GoldenCase, labelScale, loadCase } from "./helpers.ts";

/** The trained norms: key of the base tensor -> key of its copy in the adapter file. */
const copies = ({ adapter }: GoldenCase): [string, string][] =>
  [...adapter.tensors.tensors.keys()].map((key) => [
    key.replace("base_model.model.", "").replace("ln_tuning_layers.", ""),
    key,
  ]);

async function instantiate(golden: GoldenCase, executor: Executor) {
  const base = buildModel(golden.model.config, {
    batch: 2,
    length: 8,
    labels: true,
    mask: true,
    weightTypes: () => "f32",
  }).graph;
  const attached = attach(base, { sites: new Map(), trained: new Map(copies(golden)) });
  const whole = differentiate(associate(attached, { train: true }).graph);
  const micro = rewrite(whole, simplifyRules).graph;
  const tensors = copies(golden).map(([, key]) => ({ key, size: 32 }));
  const storage = layoutStorage(tensors, [], { train: true });
  const size = storage.buffers.find((buffer) => buffer.name === "params")!.size;
  const data = new Map<string, PortSource>();
  for (const key of golden.model.weights.keys()) data.set(key, () => golden.model.weights.read(key));
  for (const { key } of tensors) data.set(key, await golden.adapter.tensors.read(key));
  return executor.instantiate(programOf({ micro, update: updateGraph(size) }, storage), data);
}

const executors: [string, () => Promise<Executor>][] = [
  ["reference", async () => referenceExecutor()],
  ["tfjs wasm", () => tfjsExecutor({ backend: "wasm" })],
  ["WebAssembly", async () => wasmExecutor()],
];

describe.each(executors)("LN tuning of llama on %s", (_name, make) => {
  it("gives PEFT's logits, loss, gradients, and state after four AdamW steps", async () => {
    const golden = await loadCase("llama-ln");
    const instance = await instantiate(golden, await make());
    const inputs = { ...golden.inputs, label_scale: [labelScale(golden.inputs.labels!, 8)] };
    const keys = golden.facts.trainable_keys;
    const scalars = (step: number, decay: number) => {
      const { bias1, bias2 } = biasCorrections(step);
      const numbers: Fed<"update"> = { lr: 1e-2, bias1, bias2, weight_decay: decay, max_norm: 0 };
      return { ...inputs, ...feed(numbers) };
    };
    const first = await instance.run(["micro"], inputs, ["logits", "loss", ...keys.map((key) => `grad.${key}`)]);
    for (const [key, got] of Object.entries(first)) expect(deviation(golden, key, got), key).toBeLessThan(0.1);
    for (let step = 0; step < 4; step++) {
      const { status } = await instance.run(["micro", "update"], scalars(step, 0.01), ["status"]);
      expect(deviation(golden, `loss.${step}`, status!.slice(0, 1))).toBeLessThan(0.1);
    }
    for (const key of keys) expect(deviation(golden, `after.${key}`, await instance.read(key)), key).toBeLessThan(0.1);
    await instance.run(["micro", "update"], scalars(4, 0.01));
    expect(deviation(golden, `after.${keys[0]}`, await instance.read(keys[0]!))).toBeGreaterThan(1);
    instance.dispose();
  });
});
