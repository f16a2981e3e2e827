/** The WebGPU executor against the f64 reference, on whatever device there is (the bundled SwiftShader at worst). */
import { beforeAll, describe, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { opRecords } from "../../src/ir/registry.ts";
import type { ProgramStorage } from "../../src/program/index.ts";
import { type OpenDevice, openDevice } from "../../src/runtime/device/index.ts";
import { referenceExecutor } from "../../src/runtime/executors/reference.ts";
import { type WebgpuExecutor, webgpuExecutor } from "../../src/runtime/executors/webgpu/executor.ts";
import { hostTensor } from "../../src/runtime/files/tensor.ts";
import { loraLinear } from "../codegen/graphs.ts";
import { trainingData, trainingProgram } from "../codegen/training-program.ts";
import { sharedDevice } from "../shared-device.ts";
import { randomGraph } from "./executor-random-graph.ts";
import { difference, generator, programOf, sampleGraph, sampleInputs } from "./executor-samples.ts";

let open: OpenDevice;
let executor: WebgpuExecutor;

beforeAll(async () => {
  open = await sharedDevice();
  executor = webgpuExecutor(open);
});

async function gap(graph: Graph, inputs: Record<string, Float32Array>): Promise<number> {
  const instance = await executor.instantiate(programOf({ forward: graph }), new Map());
  const names = graph.outputs.map((o) => o.name);
  const got = await instance.run(["forward"], inputs, names);
  instance.dispose();
  const expected = evaluate(graph, inputs);
  return Math.max(...names.map((name) => difference(got[name]!, expected[name]!.data)));
}

describe("kernels on a device", () => {
  it("do what evaluation does, for every op", async () => {
    const gaps: Record<string, number> = {};
    for (const record of opRecords().filter((r) => r.opClass !== "operator")) {
      for (const sample of record.samples?.() ?? []) {
        const found = await gap(sampleGraph(record, sample), sampleInputs(sample, generator(2)));
        if (!(found < 2e-5)) gaps[record.name] = found;
      }
    }
    expect(gaps).toEqual({});
  });

  it.each([101, 202, 303])("do what evaluation does, for random graph %i", async (seed) => {
    const { graph, inputs } = randomGraph(seed, 14);
    expect(await gap(graph, inputs)).toBeLessThan(1e-4);
  });

  it("give sines and cosines of large angles", async () => {
    const k = new Builder("angles");
    const x = k.port("x", "input", "f32", [64]);
    const graph = k.finish([
      { name: "sine", node: k.add("sin", [x]) },
      { name: "cosine", node: k.add("cos", [x]) },
    ]);
    const angles = Float32Array.from({ length: 64 }, (_v, i) => (i - 20) * 97.13);
    expect(await gap(graph, { x: angles })).toBeLessThan(2e-6);
  });

  it("expand bf16 weights exactly", async () => {
    const k = new Builder("bf16");
    const w = k.cast(k.port("W", "weight", "bf16", [4, 8]), "f32");
    const graph = k.finish([{ name: "y", node: k.einsum("ti,oi->to", k.port("x", "input", "f32", [8, 8]), w) }]);
    const bits = Uint16Array.from({ length: 32 }, (_v, i) => 0x3f80 + i);
    const instance = await executor.instantiate(
      programOf({ forward: graph }),
      new Map([["W", hostTensor("BF16", [4, 8], bits)]]),
    );
    const x = Float32Array.from({ length: 64 }, (_v, i) => Number(i % 9 === 0));
    const { y } = await instance.run(["forward"], { x }, ["y"]);
    const expand = (i: number): number => new Float32Array(Uint32Array.of(bits[i]! << 16).buffer)[0]!;
    expect([...y!.slice(0, 4)]).toEqual([0, 8, 16, 24].map(expand));
    instance.dispose();
  });
});

describe("a training step", () => {
  const sizes = { layers: 2, width: 16, heads: 2, hidden: 24, vocabulary: 20, batch: 2, length: 6, rank: 3 };
  const program = trainingProgram(sizes);
  const { inputs, data } = trainingData(program, sizes);

  it("gives the reference's gradients and parameters, in one submit and one pass", async () => {
    const [device, reference] = await Promise.all([
      executor.instantiate(program, data),
      referenceExecutor().instantiate(program, data),
    ]);
    let submits = 0;
    const { queue } = open.device;
    const submit = queue.submit.bind(queue);
    queue.submit = (buffers) => {
      submits++;
      return submit(buffers);
    };
    for (const instance of [device, reference]) await instance.run(["prepare"], {});
    for (let step = 0; step < 2; step++) {
      submits = 0;
      const want = ["grads", "params", "status", "logits"];
      const [got, expected] = [
        await device.run(["micro", "update"], inputs, want),
        await reference.run(["micro", "update"], inputs, want),
      ];
      expect(submits).toBe(1);
      for (const name of ["grads", "status", "logits"])
        expect(difference(got[name]!, expected[name]!), name).toBeLessThan(1e-5);
      // Where a gradient is near zero AdamW's step depends on its sign: the largest step is lr.
      expect(difference(got.params!, expected.params!)).toBeLessThan(1e-3);
    }
    queue.submit = submit;
    device.dispose();
  });

  it("repeats bit for bit", async () => {
    const step = async (): Promise<Float32Array> => {
      const instance = await executor.instantiate(program, data);
      await instance.run(["prepare"], {});
      const { params } = await instance.run(["micro", "update"], inputs, ["params"]);
      instance.dispose();
      return params!;
    };
    const pipelines = executor.pipelines.size;
    const [a, b] = [await step(), await step()];
    expect(executor.pipelines.size).toBe(pipelines);
    expect(a).toEqual(b);
  });
});

describe("an instance", () => {
  const storage: ProgramStorage = {
    buffers: [{ name: "params", size: 128 }],
    bindings: { A: { buffer: "params", offset: 0, size: 32 }, B: { buffer: "params", offset: 64, size: 32 } },
  };
  const program = programOf({ forward: loraLinear(8, 8, 4) }, storage);
  const random = generator(9);
  const numbers = (n: number): Float32Array => Float32Array.from({ length: n }, () => random() - 0.5);
  const data = new Map([
    ["W", numbers(64)],
    ["A", numbers(32)],
    ["B", numbers(32)],
  ]);
  const inputs = { x: numbers(64), dy: numbers(64) };

  it("makes pipelines when a run needs them, and keeps the order of calls meanwhile", async () => {
    const own = await openDevice({ prefer: "webgpu" });
    const fresh = webgpuExecutor(own);
    const [device, reference] = [
      await fresh.instantiate(program, data),
      await referenceExecutor().instantiate(program, data),
    ];
    expect(fresh.pipelines.size).toBe(0);
    const output = program.stages[0]!.graph.outputs[0]!.name;
    const other = numbers(32);
    const calls = (instance: typeof device) => {
      const first = instance.run(["forward"], inputs, [output]);
      const before = instance.read("A");
      instance.write("A", other);
      return Promise.all([first, before, instance.run(["forward"], inputs, [output]), instance.read("A")]);
    };
    const [got, expected] = [await calls(device), await calls(reference)];
    expect(got[1]).toEqual(data.get("A"));
    expect(got[3]).toEqual(other);
    for (const i of [0, 2] as const) expect(difference(got[i][output]!, expected[i][output]!)).toBeLessThan(1e-5);
    expect(difference(got[0][output]!, expected[2][output]!)).toBeGreaterThan(1e-2);
    expect(fresh.pipelines.size).toBeGreaterThan(0);
    device.dispose();
    own.dispose();
  });

  it("computes what is wanted, and takes new parameters", async () => {
    const [device, reference] = [
      await executor.instantiate(program, data),
      await referenceExecutor().instantiate(program, data),
    ];
    for (const a of [undefined, numbers(32)]) {
      for (const instance of [device, reference]) if (a !== undefined) instance.write("A", a);
      for (const want of [["dA"], ["y", "dB"], ["dx", "params", "A"]]) {
        const [got, expected] = [
          await device.run(["forward"], inputs, want),
          await reference.run(["forward"], inputs, want),
        ];
        for (const name of want) expect(difference(got[name]!, expected[name]!), name).toBeLessThan(1e-5);
      }
    }
    expect(await device.read("B")).toEqual(data.get("B"));
    device.dispose();
  });

  it("refuses missing and mis-shaped data", async () => {
    const device = await executor.instantiate(program, data);
    await expect(device.run(["forward"], { x: inputs.x }, ["dA"])).rejects.toMatchObject({
      code: "DATA-INPUT-MISSING",
    });
    await expect(device.run(["forward"], { ...inputs, x: numbers(3) }, ["dA"])).rejects.toMatchObject({
      code: "DATA-INPUT-SIZE",
    });
    await expect(executor.instantiate(program, new Map())).rejects.toMatchObject({ code: "DATA-TENSOR-MISSING" });
    device.dispose();
    await expect(device.run(["forward"], inputs, ["dA"])).rejects.toThrow("disposed");
    device.dispose();
  });

  it("destroys every buffer it made", async () => {
    let live = 0;
    const create = open.device.createBuffer.bind(open.device);
    open.device.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      live++;
      const destroy = buffer.destroy.bind(buffer);
      buffer.destroy = () => {
        live--;
        return destroy();
      };
      return buffer;
    };
    const device = await executor.instantiate(program, data);
    await Promise.all([
      device.run(["forward"], inputs, ["dA"]),
      device.run(["forward"], inputs, ["dA"]),
      device.read("A"),
    ]);
    expect(live).toBeGreaterThan(3);
    device.dispose();
    open.device.createBuffer = create;
    expect(live).toBe(0);
  });
});
