/** Times of kernels by the device's timestamps: told after every run, of every dispatch, and only where they are asked for. */
import { beforeAll, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import type { OpenDevice } from "../../src/runtime/device/index.ts";
import type { InstantiateOptions, KernelTime } from "../../src/runtime/executors/executor.ts";
import { webgpuExecutor } from "../../src/runtime/executors/webgpu/executor.ts";
import { trainingData, trainingProgram } from "../codegen/training-program.ts";
import { sharedDevice } from "../shared-device.ts";
import { programOf } from "./executor-samples.ts";

let open: OpenDevice;
beforeAll(async () => {
  open = await sharedDevice();
});

const small = () => {
  const k = new Builder("small");
  const x = k.port("x", "input", "f32", [64, 32]);
  const y = k.einsum("ti,oi->to", x, k.port("z", "input", "f32", [16, 32]));
  return programOf({ forward: k.finish([{ name: "y", node: y }]) });
};
const inputs = { x: new Float32Array(64 * 32).fill(1), z: new Float32Array(16 * 32).fill(2) };

it("of every dispatch, with what it does", async () => {
  const told: (readonly KernelTime[])[] = [];
  const onKernels = (times: readonly KernelTime[]): void => void told.push(times);
  const instance = await webgpuExecutor(open).instantiate(small(), new Map(), { onKernels });
  for (let run = 0; run < 3; run++) {
    const { y } = await instance.run(["forward"], inputs, ["y"]);
    expect([...new Set(y)]).toEqual([64]);
    expect(told).toHaveLength(run + 1);
  }
  instance.dispose();
  for (const times of told) {
    expect(times.map(({ stage, dispatch }) => [stage, dispatch.flops])).toEqual([["forward", 2 * 64 * 16 * 32]]);
    expect(times[0]!.kernel.name).toBe(times[0]!.dispatch.kernel);
  }
  const nanoseconds = told.flat().map((time) => time.nanoseconds);
  expect(Math.max(...nanoseconds)).toBeGreaterThan(0);
  expect(Math.max(...nanoseconds)).toBeLessThan(60e9);
});

it("of more dispatches than one set of queries holds", async () => {
  const told: number[] = [];
  const instance = await webgpuExecutor(open).instantiate(small(), new Map(), {
    onKernels: (times) => told.push(times.length),
  });
  await instance.run(Array(2050).fill("forward"), inputs, ["y"]);
  instance.dispose();
  expect(told).toEqual([2050]);
});

it("and the numbers are the same", async () => {
  const sizes = { layers: 1, width: 8, heads: 2, hidden: 8, vocabulary: 20, batch: 1, length: 6, rank: 2 };
  const program = trainingProgram(sizes);
  const { inputs, data } = trainingData(program, sizes);
  const step = async (options: InstantiateOptions): Promise<Record<string, Float32Array>> => {
    const instance = await webgpuExecutor(open).instantiate(program, data, options);
    await instance.run(["prepare"], {});
    const results = await instance.run(["micro", "update"], inputs, ["grads", "params", "logits"]);
    instance.dispose();
    return results;
  };
  const stages = new Set<string>();
  const onKernels = (times: readonly KernelTime[]): void => {
    for (const { stage } of times) stages.add(stage);
  };
  expect(await step({ onKernels })).toEqual(await step({}));
  expect([...stages]).toEqual(["prepare", "micro", "update"]);
});
