import { describe, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { type Fed, feed } from "../../src/ir/run-inputs.ts";
import { accumulateGraph, biasCorrections, updateGraph } from "../../src/passes/optimizer.ts";
import { layoutStorage, slotSize } from "../../src/passes/storage.ts";
import type { ExecutableProgram } from "../../src/program/index.ts";
import type { Executor, PortSource } from "../../src/runtime/executors/executor.ts";
import { referenceExecutor } from "../../src/runtime/executors/reference.ts";
import { tfjsExecutor } from "../../src/runtime/executors/tfjs/executor.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { fromFloat32, hostTensor } from "../../src/runtime/files/tensor.ts";
import { difference, generator, programOf } from "./executor-samples.ts";

const [samples, width] = [12, 5];

/** `scale` = 1 / |columns of w| as a derived value: what depends on frozen weights only. */
function prepareGraph(): Graph {
  const k = new Builder("prepare");
  const w = k.cast(k.port("w", "weight", "bf16", [width, width]), "f32");
  return k.finish([{ name: "scale", node: k.add("rsqrt", [k.sum(k.mul(w, w), [0])]) }]);
}

/** Linear regression on fixed features w x scale: loss = mean (features a + b - y)^2, gradients written by hand. */
function microGraph(count: number): Graph {
  const k = new Builder("micro");
  const x = k.port("x", "input", "f32", [count, width]);
  const y = k.port("y", "input", "f32", [count]);
  const factor = k.port("label_scale", "input", "f32", []);
  const w = k.cast(k.port("w", "weight", "bf16", [width, width]), "f32");
  const scale = k.port("scale", "buffer", "f32", [width]);
  const a = k.port("a", "param", "f32", [width]);
  const b = k.port("b", "param", "f32", [1]);
  const features = k.mul(k.einsum("nk,km->nm", x, w), scale);
  const error = k.sub(k.plus(k.einsum("nm,m->n", features, a), b), y);
  const g = k.mul(k.scale(error, 2), factor);
  return k.finish(
    [
      { name: "loss", node: k.mul(k.sum(k.mul(error, error), [0]), factor) },
      { name: "grad.a", node: k.einsum("nm,n->m", features, g) },
      { name: "grad.b", node: k.reshape(k.sum(g, [0]), [1]) },
      { name: "error", node: error },
    ].map(({ name, node }) => ({ name, node: name === "loss" ? k.reshape(node, []) : node })),
  );
}

const params = [
  { key: "a", size: width },
  { key: "b", size: 1 },
];

function regression(accumulate: boolean): { program: ExecutableProgram; data: Map<string, PortSource> } {
  const storage = layoutStorage(params, [{ key: "scale", size: width }], { train: true, accumulate });
  const size = storage.buffers.find((buffer) => buffer.name === "params")!.size;
  const micro = microGraph(accumulate ? samples / 3 : samples);
  const update = updateGraph(size, { accumulate });
  const graphs = {
    prepare: prepareGraph(),
    micro,
    update,
    ...(accumulate ? { accumulate: accumulateGraph(size + slotSize) } : {}),
  };
  const random = generator(2);
  const w = fromFloat32(
    Float32Array.from({ length: width * width }, () => random() * 2 - 1),
    "BF16",
    [width, width],
  );
  const data = new Map<string, PortSource>([
    ["w", async () => w],
    ["a", new Float32Array(width)],
    ["b", Float32Array.of(0.1)],
  ]);
  return { program: programOf(graphs, storage), data };
}

function batch(): { x: Float32Array; y: Float32Array } {
  const random = generator(9);
  const x = Float32Array.from({ length: samples * width }, () => random() * 2 - 1);
  const y = Float32Array.from({ length: samples }, (_unused, i) => x[i * width]! - 0.5 * x[i * width + 3]! + 0.3);
  return { x, y };
}

const scalarsAt = (step: number) => {
  const { bias1, bias2 } = biasCorrections(step);
  const numbers: Fed<"update"> = { lr: 0.05, bias1, bias2, weight_decay: 0.01, max_norm: 1 };
  return feed({ ...numbers, label_scale: 1 / samples });
};

/** Losses of a training run and the parameters at its end. `stale` leaves out the bias correction, as a control. */
async function train(executor: Executor, steps: number, accumulate = false, stale = false) {
  const { program, data } = regression(accumulate);
  const instance = await executor.instantiate(program, data);
  const { x, y } = batch();
  const losses: number[] = [];
  await instance.run(["prepare"], {});
  for (let step = 0; step < steps; step++) {
    const scalars = scalarsAt(stale ? 0 : step);
    if (!accumulate) {
      losses.push((await instance.run(["micro", "update"], { x, y, ...scalars }, ["status"])).status![0]!);
      continue;
    }
    const part = samples / 3;
    for (let i = 0; i < 3; i++) {
      const inputs = {
        x: x.slice(i * part * width, (i + 1) * part * width),
        y: y.slice(i * part, (i + 1) * part),
        first: [i === 0 ? 1 : 0],
      };
      await instance.run(["micro", "accumulate"], { ...inputs, ...scalars });
    }
    losses.push((await instance.run(["update"], scalars, ["status"])).status![0]!);
  }
  const end = [...(await instance.read("a")), ...(await instance.read("b"))];
  instance.dispose();
  return { losses, end };
}

const executors: [string, () => Promise<Executor>][] = [
  ["reference", async () => referenceExecutor()],
  ["tfjs wasm", () => tfjsExecutor({ backend: "wasm" })],
  ["WebAssembly", async () => wasmExecutor()],
  ["tfjs cpu", () => tfjsExecutor({ backend: "cpu" })],
];

describe("training on all executors", () => {
  it("gives falling losses that are equal to the f64 reference's", async () => {
    const exact = await train(referenceExecutor({ storage: "f64" }), 40);
    expect(exact.losses.at(-1)!).toBeLessThan(exact.losses[0]! / 10);
    for (const [name, make] of executors) {
      const run = await train(await make(), 40);
      expect(difference(run.losses, exact.losses), name).toBeLessThan(1e-4);
      expect(difference(run.end, exact.end), name).toBeLessThan(1e-4);
    }
    const spoiled = await train(referenceExecutor(), 40, false, true);
    expect(difference(spoiled.losses, exact.losses)).toBeGreaterThan(1e-3);
  });

  it.each(executors)("accumulated micro-batches equal the whole batch: %s", async (_name, make) => {
    const whole = await train(await make(), 20);
    const parts = await train(await make(), 20, true);
    expect(difference(parts.losses, whole.losses)).toBeLessThan(1e-4);
    expect(difference(parts.end, whole.end)).toBeLessThan(1e-4);
  });
});

describe.each(executors)("%s", (_name, make) => {
  it("reads ports as they were when the stage began, and writes bound outputs at its end", async () => {
    const k = new Builder("rotate");
    const [a, b] = ["a", "b"].map((name) => k.port(name, "param", "f32", [64]));
    const graph = k.finish([
      { name: "a", node: b! },
      { name: "b", node: k.add("neg", [a!]) },
      { name: "sum", node: k.plus(a!, b!) },
    ]);
    const storage = layoutStorage([
      { key: "a", size: 64 },
      { key: "b", size: 64 },
    ]);
    const first = new Map([
      ["a", new Float32Array(64).fill(1)],
      ["b", new Float32Array(64).fill(2)],
    ]);
    const instance = await (await make()).instantiate(programOf({ project: graph }, storage), first);
    const { sum, b: after, params: whole } = await instance.run(["project", "project"], {}, ["sum", "b", "params"]);
    expect([sum![0], after![0], whole![0], whole![64]]).toEqual([1, -2, -1, -2]);
    whole!.fill(9);
    first.get("a")!.fill(9);
    expect((await instance.read("a"))[0]).toBe(-1);
    instance.write("params", new Float32Array(128).fill(3));
    expect((await instance.run(["project"], {}, ["sum"])).sum![5]).toBe(6);
    instance.dispose();
    expect(() => instance.write("a", new Float32Array(64))).toThrow("disposed");
  });

  it("takes weights and index tables as files hold them", async () => {
    const k = new Builder("types");
    const half = k.cast(k.port("half", "weight", "f16", [2, 3]), "f32");
    const brain = k.cast(k.port("brain", "weight", "bf16", [2, 3]), "f32");
    const index = k.port("index", "buffer", "i32", [3]);
    const graph = k.finish([
      { name: "y", node: k.add("gather", [k.plus(half, brain), index]) },
      { name: "index", node: index },
    ]);
    const data = new Map<string, PortSource>([
      ["half", fromFloat32(Float32Array.of(0.5, 1, 1.5, 2, 2.5, 65504), "F16", [2, 3])],
      ["brain", fromFloat32(Float32Array.of(1, 2, 3, 4, 5, 6), "BF16", [2, 3])],
      ["index", hostTensor("I64", [3], BigInt64Array.of(1n, 0n, 1n))],
    ]);
    const seen: string[] = [];
    const onProgress = (loaded: number, total: number, name: string) => seen.push(`${loaded}/${total} ${name}`);
    const instance = await (await make()).instantiate(programOf({ forward: graph }), data, { onProgress });
    const { y, index: indices } = await instance.run(["forward"], {}, ["y", "index"]);
    expect([...y!]).toEqual([6, 7.5, 65510, 1.5, 3, 4.5, 6, 7.5, 65510]);
    expect([...indices!]).toEqual([1, 0, 1]);
    expect(seen).toEqual(["1/3 half", "2/3 brain", "3/3 index"]);
    instance.dispose();
  });

  it("refuses what does not fit, by name", async () => {
    const executor = await make();
    const { program, data } = regression(false);
    const without = new Map([...data].filter(([name]) => name !== "w"));
    await expect(executor.instantiate(program, without)).rejects.toMatchObject({
      code: "DATA-TENSOR-MISSING",
      where: "w",
    });
    const short = new Map([...data, ["w", new Float32Array(3)] as const]);
    await expect(executor.instantiate(program, short)).rejects.toMatchObject({ code: "DATA-TENSOR-SIZE", where: "w" });
    const long = new Map([...data, ["a", new Float32Array(99)] as const]);
    await expect(executor.instantiate(program, long)).rejects.toMatchObject({ code: "DATA-TENSOR-SIZE", where: "a" });
    await expect(executor.instantiate(program, data, { signal: AbortSignal.abort() })).rejects.toThrow("abort");
    const instance = await executor.instantiate(program, data);
    const { x, y } = batch();
    await expect(instance.run(["micro"], { x, label_scale: [1] })).rejects.toMatchObject({
      code: "DATA-INPUT-MISSING",
      where: "y",
    });
    await expect(instance.run(["micro"], { x, y: [1], label_scale: [1] })).rejects.toMatchObject({
      code: "DATA-INPUT-SIZE",
    });
    await expect(instance.run(["merge"], {})).rejects.toThrow("no stage merge");
    await expect(instance.run(["micro"], { x, y, label_scale: [1] }, ["logits"])).rejects.toThrow("output logits");
    expect(() => instance.write("a", new Float32Array(2))).toThrow("holds 5");
    await expect(instance.read("nothing")).rejects.toThrow("nothing");
    instance.dispose();
  });
});
