import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { wasmTarget } from "../../src/codegen/index.ts";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { OpRecord, OpSample } from "../../src/ir/op-record.ts";
import { opRecords } from "../../src/ir/registry.ts";
import { type TensorType, tensor } from "../../src/ir/types.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { createMemory } from "../../src/runtime/executors/wasm/memory.ts";
import { fromFloat32 } from "../../src/runtime/files/tensor.ts";
import { randomGraph } from "./executor-random-graph.ts";
import { difference, generator, programOf, runOnce, sampleGraph, sampleInputs } from "./executor-samples.ts";

const tensorOps = opRecords().filter((record) => record.opClass !== "operator" && record.name !== "port");
const executor = wasmExecutor();

/** A contraction, what is made of it by rows, and a tail that one thread does. */
function layered(): Graph {
  const k = new Builder("layered");
  const x = k.port("x", "input", "f32", [150, 257]);
  const w = k.port("w", "weight", "bf16", [200, 257]);
  const y = k.einsum("tk,nk->tn", x, k.cast(w, "f32"));
  const largest = k.reshape(k.max(y, [1]), [150, 1]);
  const scores = k.add("exp", [k.sub(y, largest)]);
  const back = k.einsum("tn,nk->tk", scores, k.cast(w, "f32"));
  return k.finish([
    { name: "back", node: back },
    { name: "total", node: k.sum(k.sum(back, [1]), [0]) },
  ]);
}

const pointwise = tensorOps.filter(
  (record) => record.opClass === "pointwise" && record.samples!()[0]!.inputs.length > 0,
);

/** Ranges of integers whose differences are not negative, nor their divisors 0. */
const integers = (inputs: readonly TensorType[]): OpSample["ranges"] =>
  inputs.map(({ dtype }, i) => (dtype === "bool" ? [0, 1] : i === 0 ? [9, 20] : [1, 9]));

/** Samples of a pointwise op in rows of eight, with numbers of every dtype that it takes. */
function wideSamples(record: OpRecord): OpSample[] {
  const [given] = record.samples!();
  return (["f32", "i32", "u32"] as const).flatMap((dtype): OpSample[] => {
    const inputs = given!.inputs.map((type) => tensor(type.dtype === "f32" ? dtype : type.dtype, [3, 8]));
    const sample = { ...given!, inputs, ranges: dtype === "f32" ? given!.ranges : integers(inputs) };
    try {
      record.infer(inputs, sample.attributes);
      return [sample as OpSample];
    } catch {
      return [];
    }
  });
}

it("tells how it adds products", async () => {
  const k = new Builder("fused");
  const [x, w] = [k.port("x", "input", "f32", [32, 2]), k.port("w", "input", "f32", [8, 2])];
  const graph = k.finish([{ name: "y", node: k.einsum("tk,nk->tn", x, w) }]);
  // e^2 is lost where (1 + e)^2 is rounded.
  const e = 2 ** -12;
  const rows = (count: number, ...row: number[]): Float32Array =>
    Float32Array.from({ length: 2 * count }, (_unused, i) => row[i % 2]!);
  const { y } = await runOnce(executor, graph, { x: rows(32, -1 - 2 * e, 1 + e), w: rows(8, 1, 1 + e) });
  const isFused = executor.arithmetic === "products are added without rounding in between";
  expect(y!.every((number) => number === (isFused ? e * e : 0))).toBe(true);
  expect(wasmExecutor({ target: wasmTarget }).arithmetic).toBe("products are rounded before they are added");
});

describe("threads", () => {
  it("change no bit", async () => {
    const random = generator(3);
    const x = Float32Array.from({ length: 150 * 257 }, () => random() - 0.5);
    const weights = fromFloat32(
      Float32Array.from({ length: 200 * 257 }, () => random() - 0.5),
      "BF16",
      [200, 257],
    );
    const results = [];
    for (const threads of [1, 2, 3]) {
      const instance = await wasmExecutor({ threads }).instantiate(
        programOf({ forward: layered() }),
        new Map([["w", weights]]),
      );
      const runs = [1, 2, 3].map(() => instance.run(["forward"], { x }, ["back", "total"]));
      results.push(...(await Promise.all(runs)));
      instance.dispose();
    }
    for (const result of results) expect(result).toEqual(results[0]);
    expect(Number.isFinite(results[0]!.total![0])).toBe(true);
  });
});

it.each([1, 3])("takes calls in the order in which they are made, with %i threads", async (threads) => {
  const k = new Builder("doubled");
  const [x, w] = [k.port("x", "input", "f32", [200, 200]), k.port("w", "param", "f32", [200, 200])];
  const graph = k.finish([{ name: "y", node: k.sum(k.einsum("mk,kn->mn", x, w), [0]) }]);
  const size = 200 * 200;
  const storage = { buffers: [{ name: "params", size }], bindings: { w: { buffer: "params", offset: 0, size } } };
  const instance = await wasmExecutor({ threads }).instantiate(programOf({ forward: graph }, storage), new Map());
  const filled = (value: number): Float32Array => new Float32Array(size).fill(value);
  const run = (value: number) => instance.run(["forward"], { x: filled(value) }, ["y"]);
  instance.write("w", filled(1));
  const calls = [run(1), run(2)];
  instance.write("w", filled(3));
  const [results, held] = await Promise.all([Promise.all([...calls, run(1)]), instance.read("w")]);
  expect(results.map(({ y }) => y![7])).toEqual([40_000, 80_000, 120_000]);
  expect(held[0]).toBe(3);
  instance.dispose();
});

it("divides words as WGSL does, where nobody wants them too", async () => {
  const k = new Builder("words");
  const [a, b] = ["a", "b"].map((name) => k.port(name, "input", "i32", [5])) as [number, number];
  const rest = k.add("mod", [a, b]);
  const padded = k.add("pad", [rest], { low: [3], high: [3] });
  const outputs = { quotient: k.add("div", [a, b]), rest, padded };
  const graph = k.finish(Object.entries(outputs).map(([name, node]) => ({ name, node })));
  const instance = await wasmExecutor().instantiate(programOf({ forward: graph }), new Map());
  const inputs = { a: Float32Array.of(7, 7, -7, -(2 ** 31), 0), b: Float32Array.of(2, 0, 2, -1, 0) };
  const result = await instance.run(["forward"], inputs, Object.keys(outputs));
  instance.dispose();
  expect(Array.from(result.quotient!)).toEqual([3, 7, -3, -(2 ** 31), 0]);
  expect(Array.from(result.rest!)).toEqual([1, 0, -1, 0, 0]);
  expect(Array.from(result.padded!)).toEqual([0, 0, 0, 1, 0, -1, 0, 0, 0, 0, 0]);
});

it("says what helps where the machine gives no memory, as under a limit on addresses", () => {
  const none = vi.spyOn(WebAssembly, "Memory").mockImplementation(function refuse() {
    throw new RangeError("WebAssembly.Memory(): could not allocate memory");
  });
  const facts = { code: "DEVICE-MEMORY", got: "64.0 KiB", expected: "no more than the machine gives" };
  for (const words of ["`ulimit -v`", "10 GiB of addresses", "`--device tfjs`", "smaller batch"])
    expect(() => createMemory(2 ** 16, true)).toThrow(
      expect.objectContaining({ ...facts, help: expect.stringContaining(words) }),
    );
  none.mockRestore();
});

it("says how much memory WebAssembly can address", async () => {
  const help = expect.stringContaining("`--memory 2GiB`");
  const refused = { code: "DEVICE-MEMORY", got: "5.00 GiB", expected: "at most 4.00 GiB", help };
  expect(() => createMemory(5 * 2 ** 30, false)).toThrow(expect.objectContaining(refused));
  expect(createMemory(100, false).buffer.byteLength).toBe(65536);
  const k = new Builder("large");
  const parts = Array.from({ length: 3 }, (_unused, i) => k.port(`x${i}`, "input", "f32", [2 ** 13, 2 ** 16]));
  const graph = k.finish([
    {
      name: "y",
      node: k.sum(
        parts.reduce((a, b) => k.plus(a, b)),
        [1],
      ),
    },
  ]);
  await expect(executor.instantiate(programOf({ forward: graph }), new Map())).rejects.toMatchObject({
    code: "DEVICE-MEMORY",
    expected: "at most 4.00 GiB",
  });
});

it.each([{ threads: 0 }, { threads: 1.5 }, { threads: Number.NaN }, { cutsFrom: -1 }, { thread: 2 } as object])(
  "refuses %o",
  (options) => {
    expect(() => wasmExecutor(options)).toThrow(expect.objectContaining({ code: "DEVICE-OPTION" }));
  },
);

/** An engine whose kernels stop, as often as is said. */
async function withTraps<T>(traps: number, make: () => Promise<T>): Promise<T> {
  const { instantiate } = WebAssembly;
  let left = traps;
  const stops = async (module: WebAssembly.Module, imports: WebAssembly.Imports): Promise<WebAssembly.Instance> => {
    const { exports } = await instantiate(module, imports);
    const wrapped = Object.entries(exports).map(([name, kernel]) => [
      name,
      (...places: number[]) => {
        if (left-- > 0) throw new WebAssembly.RuntimeError("unreachable");
        return (kernel as (...places: number[]) => void)(...places);
      },
    ]);
    return { exports: Object.fromEntries(wrapped) };
  };
  Object.assign(WebAssembly, { instantiate: stops });
  try {
    return await make();
  } finally {
    Object.assign(WebAssembly, { instantiate });
  }
}

it.each([1, 3])("tells what stopped a run, and runs again, with %i threads", async (threads) => {
  const k = new Builder("stopped");
  const [x, w] = [k.port("x", "input", "f32", [200, 200]), k.port("w", "weight", "f32", [200, 200])];
  const program = programOf({ forward: k.finish([{ name: "y", node: k.sum(k.einsum("mk,kn->mn", x, w), [0]) }]) });
  const ones = new Float32Array(200 * 200).fill(1);
  const instance = await withTraps(1, () => wasmExecutor({ threads }).instantiate(program, new Map([["w", ones]])));
  const run = () => instance.run(["forward"], { x: ones }, ["y"]);
  await expect(run()).rejects.toMatchObject({ code: "DEVICE-VALIDATION", got: "RuntimeError: unreachable" });
  for (let again = 0; again < 3; again++) expect((await run()).y![5]).toBe(40_000);
  instance.dispose();
});

it.each([1, 2, 3])("ends runs that it is disposed in, with %i threads", { timeout: 20_000 }, async (threads) => {
  const k = new Builder("ended");
  const [x, w] = [k.port("x", "input", "f32", [200, 200]), k.port("w", "weight", "f32", [200, 200])];
  const program = programOf({ forward: k.finish([{ name: "y", node: k.sum(k.einsum("mk,kn->mn", x, w), [0]) }]) });
  const ones = new Float32Array(200 * 200).fill(1);
  for (let turns = 0; turns < 12; turns++) {
    const instance = await wasmExecutor({ threads }).instantiate(program, new Map([["w", ones]]));
    const asked = [1, 2, 3].map(() => instance.run(["forward"], { x: ones }, ["y"]));
    const over = Promise.allSettled(asked);
    for (let turn = 0; turn < turns; turn++)
      await (turn % 4 === 3 ? new Promise((next) => setImmediate(next)) : undefined);
    instance.dispose();
    for (const result of await over) {
      if (result.status === "fulfilled") expect(result.value.y![3]).toBe(40_000);
      else expect(result.reason).toMatchObject({ message: "the instance is disposed" });
    }
  }
});

it.each([1, 2])("lets timers come to their turn within a long run, with %i threads", async (threads) => {
  const k = new Builder("long");
  const [x, w] = [k.port("x", "input", "f32", [1280, 1280]), k.port("w", "weight", "f32", [1280, 1280])];
  const product = (a: number): number => k.einsum("mk,kn->mn", a, w);
  const program = programOf({ forward: k.finish([{ name: "y", node: product(product(product(x))) }]) });
  const ones = new Float32Array(1280 * 1280).fill(1);
  const instance = await wasmExecutor({ threads }).instantiate(program, new Map([["w", ones]]));
  let ticks = 0;
  const timer = setInterval(() => ticks++);
  const { y } = await instance.run(["forward"], { x: ones }, ["y"]);
  clearInterval(timer);
  expect(ticks).toBeGreaterThanOrEqual(2);
  expect(y!.every((number) => number === 1280 ** 3)).toBe(true);
  instance.dispose();
});

it("lets timers come to their turn between runs on one thread", async () => {
  const k = new Builder("short");
  const x = k.port("x", "input", "f32", [64, 64]);
  const graph = k.finish([{ name: "y", node: k.einsum("mk,kn->mn", x, x) }]);
  const instance = await wasmExecutor({ threads: 1 }).instantiate(programOf({ forward: graph }), new Map());
  let isAsked = false;
  setTimeout(() => {
    isAsked = true;
  }, 20);
  const begin = performance.now();
  const inputs = { x: new Float32Array(64 * 64) };
  while (!isAsked && performance.now() - begin < 5000) await instance.run(["forward"], inputs, ["y"]);
  expect(isAsked).toBe(true);
  instance.dispose();
});

describe("WebAssembly", () => {
  it.each(tensorOps.map((record) => [record.name, record] as const))(
    "%s equals f64 evaluation",
    async (_name, record) => {
      const random = generator(7);
      for (const sample of record.samples!()) {
        const graph = sampleGraph(record, sample);
        const inputs = sampleInputs(sample, random);
        const expected = evaluate(graph, inputs).y!.data;
        expect(difference((await runOnce(executor, graph, inputs)).y!, expected)).toBeLessThan(1e-5);
      }
    },
  );

  it.each(pointwise.map((record) => [record.name, record] as const))(
    "%s of every dtype equals f64 evaluation, four numbers at a time",
    async (_name, record) => {
      const random = generator(8);
      for (const sample of wideSamples(record)) {
        const graph = sampleGraph(record, sample);
        const inputs = sampleInputs(sample, random);
        const exact = evaluate(graph, inputs).y!.data;
        const isInteger = sample.inputs.at(-1)!.dtype !== "f32";
        const expected = isInteger ? exact.map(Math.trunc) : exact;
        const got = (await runOnce(executor, graph, inputs)).y!;
        expect(difference(got, expected)).toBeLessThan(1e-5);
      }
    },
  );

  it("agrees with f64 evaluation on random graphs", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), async (seed) => {
        const { graph, inputs } = randomGraph(seed);
        const expected = evaluate(graph, inputs);
        const got = await runOnce(executor, graph, inputs);
        for (const { name } of graph.outputs)
          expect(difference(got[name]!, expected[name]!.data), name).toBeLessThan(1e-4);
      }),
      { seed: 20, numRuns: 200 },
    );
  });
});
