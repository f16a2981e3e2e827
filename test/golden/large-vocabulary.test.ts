/**
 * Gradients behind the logits of 50,000 tokens. All rows of the embedding share a large part, as in trained models, so that the sum over
 * probabilities times rows cancels and a running f32 sum is off by 1e-3. The numbers are PEFT's in float64.
 */
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { cpuTarget, defaultTarget, type Target } from "../../src/codegen/index.ts";
import { compile } from "../../src/compile/index.ts";
import type { OpenDevice } from "../../src/runtime/device/index.ts";
import type { Executor } from "../../src/runtime/executors/executor.ts";
import { tfjsExecutor } from "../../src/runtime/executors/tfjs/executor.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { webgpuExecutor } from "../../src/runtime/executors/webgpu/executor.ts";
import { readAdapter } from "../../src/runtime/files/adapter.ts";
import { loadModel } from "../../src/runtime/files/model.ts";
import { part } from "../extent.ts";
import { sharedDevice } from "../shared-device.ts";
import { type NumbersByName, readNumbers } from "./helpers.ts";

const folder = "../large-vocabulary";
const path = (name: string): string => fileURLToPath(new URL(`../fixtures/large-vocabulary/${name}`, import.meta.url));

/** Chunks of logits and parts of the table, as a model of a hundred times the size has them. */
const small = { ...defaultTarget.limits, maxStorageBufferBindingSize: 1.5 * 2 ** 20 };
const chunked: Target = { ...defaultTarget, limits: small, largestBinding: small.maxStorageBufferBindingSize };

let device: OpenDevice;
beforeAll(async () => {
  device = await sharedDevice();
});

/** Largest difference of any gradient, relative to the gradient's largest entry, and that of the loss. */
async function gaps(executor: Executor, target: Target): Promise<{ gradients: number; loss: number }> {
  const model = await loadModel(path("."));
  const adapter = await readAdapter(path("adapter"));
  const inputs = await readNumbers(`${folder}/adapter/inputs.safetensors`);
  const expected: NumbersByName = await readNumbers(`${folder}/adapter/expected.safetensors`);
  const length = inputs.input_ids!.length / 2;
  const program = await compile(model, adapter, { batch: 2, length, mask: true, sampling: false, target });
  const session = await program.start({ device: executor, adapter });
  const { loss, gradients } = await session.gradients(inputs as never);
  session.dispose();
  const relative = Object.entries(gradients).map(([key, got]) => {
    const want = expected[`grad.${key}`]!;
    const gap = Math.max(...Array.from(got, (x, i) => Math.abs(x - want[i]!)));
    return gap / Math.max(...Array.from(want, Math.abs));
  });
  expect(relative.length).toBe(12);
  return { gradients: Math.max(...relative), loss: Math.abs(loss / expected.loss![0]! - 1) };
}

describe("a vocabulary of 50,000", () => {
  it.each([
    ["TensorFlow.js", () => tfjsExecutor(), defaultTarget],
    ["WebAssembly", () => wasmExecutor(), defaultTarget],
    ["WebAssembly in chunks and parts", () => wasmExecutor(), chunked],
  ])("has PEFT's gradients on %s", async (_name, make, target) => {
    const { gradients, loss } = await gaps(await make(), target);
    expect(gradients).toBeLessThan(5e-5);
    expect(loss).toBeLessThan(1e-6);
  });

  const onDevice: readonly (readonly [string, Target])[] = [
    ["register tiles", cpuTarget],
    ["workgroup tiles", defaultTarget],
    ["chunks and parts", chunked],
  ];
  it.each(part(onDevice, 3))("has PEFT's gradients on WebGPU with %s", async (_name, target) => {
    const { gradients, loss } = await gaps(webgpuExecutor(device, { target }), target);
    expect(gradients).toBeLessThan(5e-5);
    expect(loss).toBeLessThan(1e-6);
  });
});
