/**
 * SmolLM2-135M's shapes (30 layers, hidden 576, vocabulary 49,152) with random weights train on a software adapter within default limits. Part of
 * `npm run test:all`: the loss in f64 takes minutes.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { ports } from "../../src/ir/graph.ts";
import type { TensorType } from "../../src/ir/types.ts";
import { sizeOf } from "../../src/ir/types.ts";
import { buildModel } from "../../src/models/index.ts";
import { type OpenDevice, openDevice } from "../../src/runtime/device/index.ts";
import type { Executor } from "../../src/runtime/executors/executor.ts";
import { referenceExecutor } from "../../src/runtime/executors/reference.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { webgpuExecutor } from "../../src/runtime/executors/webgpu/executor.ts";
import { loadModel, type Model } from "../../src/runtime/files/model.ts";
import { smolLM2 } from "../budgets/real-shapes.ts";
import { isAll } from "../extent.ts";
import { generator } from "./executor-samples.ts";

const [batch, length] = [1, 128];
const lora = { peft_type: "LORA", r: 8, lora_alpha: 16, target_modules: ["q_proj", "v_proj"] };

/** Seeded bf16 numbers around `center`; a plain loop, since there are 135 million. */
function randomHalves(size: number, center: number, spread: number, seed: number): Uint16Array {
  const halves = new Uint16Array(size);
  const [number, word] = [new Float32Array(1), new Uint32Array(1)];
  const bits = new Uint32Array(number.buffer);
  word[0] = seed;
  for (let i = 0; i < size; i++) {
    word[0] = Math.imul(word[0]!, 1664525) + 1013904223;
    number[0] = center + spread * (word[0]! / 2 ** 32 - 0.5);
    halves[i] = bits[0]! >>> 16;
  }
  return halves;
}

/** Weights of the scale that training leaves; norms near 1. */
async function randomModel(): Promise<Model> {
  const options = { batch, length, labels: true, mask: false, weightTypes: () => "bf16" as const };
  const weights = ports(buildModel(smolLM2, options).graph, "weight").map(({ name, node }, seed) => {
    const { shape } = node.type as TensorType;
    const [center, spread] = name.includes("norm") ? ([1, 0.2] as const) : ([0, 0.08] as const);
    return [name, { shape, dtype: "BF16" as const, data: randomHalves(sizeOf(shape), center, spread, seed) }] as const;
  });
  return loadModel({ config: smolLM2, weights: Object.fromEntries(weights) });
}

function randomBatch(): { input_ids: number[]; labels: number[] } {
  const random = generator(2);
  const input_ids = Array.from({ length: batch * length }, () => Math.floor(random() * smolLM2.vocab_size));
  return { input_ids, labels: input_ids };
}

describe.runIf(isAll)("thirty layers", () => {
  let device: OpenDevice;
  let model: Model;
  beforeAll(async () => {
    device = await openDevice({ prefer: "webgpu" });
    model = await randomModel();
  }, 600_000);
  afterAll(() => device.dispose());

  async function losses(executor: Executor, steps: number): Promise<number[]> {
    const program = await compile(model, lora, { batch, length, mode: steps > 1 ? "train" : "infer" });
    const session = await program.start({ device: executor, seed: 5 });
    try {
      const found: number[] = [];
      if (steps === 1) return [(await session.forward(randomBatch())).loss!];
      for (let step = 0; step < steps; step++) found.push((await session.step(randomBatch(), { lr: 1e-2 })).loss);
      return found;
    } finally {
      session.dispose();
    }
  }

  it("train on a software adapter as on WebAssembly, with the loss of f64", { timeout: 1_800_000 }, async () => {
    const onDevice = await losses(webgpuExecutor(device), 2);
    const onCpu = await losses(wasmExecutor(), 2);
    const [exact] = await losses(referenceExecutor(), 1);
    expect(onDevice[1]).toBeLessThan(onDevice[0]!);
    expect(Math.abs(onDevice[0]! / exact! - 1)).toBeLessThan(1e-5);
    for (const [step, loss] of onCpu.entries()) expect(Math.abs(onDevice[step]! / loss - 1)).toBeLessThan(1e-4);
  });
});
