import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import { opRecords } from "../../src/ir/registry.ts";
import { loadBackend, type Tf } from "../../src/runtime/executors/tfjs/backend.ts";
import { type TfjsExecutor, tfjsExecutor } from "../../src/runtime/executors/tfjs/executor.ts";
import { tfOps } from "../../src/runtime/executors/tfjs/ops.ts";
import { randomGraph } from "./executor-random-graph.ts";
import {
  difference,
  generator,
  programOf,
  randomData,
  runOnce,
  sampleGraph,
  sampleInputs,
} from "./executor-samples.ts";

const tensorOps = opRecords().filter((record) => record.opClass !== "operator" && record.name !== "port");

it("has an entry for every tensor-level op and no other", () => {
  const primitive = tensorOps.filter((record) => record.opClass !== "composite");
  expect(Object.keys(tfOps).sort()).toEqual(primitive.map((record) => record.name).sort());
});

for (const backend of ["wasm", "cpu"] as const) {
  describe(`tfjs ${backend}`, () => {
    let executor: TfjsExecutor;
    let tf: Tf;
    beforeAll(async () => {
      ({ tf } = await loadBackend({ backend }));
      executor = await tfjsExecutor({ backend });
    });

    it.each(tensorOps.map((record) => [record.name, record] as const))(
      "%s equals f64 evaluation",
      async (_name, record) => {
        const random = generator(7);
        expect(record.samples, "an op without samples is not tested").toBeDefined();
        for (const sample of record.samples!()) {
          const graph = sampleGraph(record, sample);
          const inputs = sampleInputs(sample, random);
          const expected = evaluate(graph, inputs).y!.data;
          const got = (await runOnce(executor, graph, inputs)).y!;
          expect(difference(got, expected)).toBeLessThan(1e-5);
          if (expected.some((x) => x !== 0))
            expect(
              difference(
                got,
                expected.map((x) => -1.001 * x),
              ),
            ).toBeGreaterThan(1e-5);
        }
      },
    );

    it("agrees with f64 evaluation on random graphs and frees what it makes", async () => {
      const before = tf.memory().numTensors;
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), async (seed) => {
          const { graph, inputs } = randomGraph(seed);
          const expected = evaluate(graph, inputs);
          const got = await runOnce(executor, graph, inputs);
          for (const { name } of graph.outputs)
            expect(difference(got[name]!, expected[name]!.data), name).toBeLessThan(1e-4);
        }),
        { seed: 20, numRuns: 60 },
      );
      expect(tf.memory().numTensors).toBe(before);
    });

    it.each([
      ["bmk,bnk->bmn", [3, 70, 65], [3, 66, 65]],
      ["bhqd,bhkd->bhqk", [2, 3, 5, 4], [2, 3, 7, 4]],
      ["bhgqd,bhkd->qbhgk", [2, 2, 3, 4, 5], [2, 2, 6, 5]],
      ["ab,cd->dacb", [2, 3], [4, 5]],
      ["i,i->", [6], [6]],
      ["ab,ba->ba", [3, 4], [4, 3]],
      [",ab->ba", [], [3, 4]],
      ["xy,yz->zx", [3, 4], [4, 5]],
    ])("einsum %s", async (spec, a, b) => {
      const k = new Builder("einsum");
      const [x, w] = [k.port("x", "input", "f32", a), k.port("w", "input", "f32", b)];
      const graph = k.finish([{ name: "y", node: k.einsum(spec, x, w) }]);
      const random = generator(3);
      const inputs = {
        x: randomData(k.tensorType(x), [-1, 1], random),
        w: randomData(k.tensorType(w), [-1, 1], random),
      };
      expect(difference((await runOnce(executor, graph, inputs)).y!, evaluate(graph, inputs).y!.data)).toBeLessThan(
        1e-5,
      );
    });

    it("multiplies by the same numbers as a column and as a row", async () => {
      const b = new Builder("main");
      const [x, g, a] = [
        [4, 16],
        [4, 1],
        [1, 16],
      ].map((shape, i) => b.port("xga"[i]!, "input", "f32", shape));
      const column = b.reshape(a!, [16, 1]);
      const graph = b.finish([
        { name: "sums", node: b.einsum("ik,kj->ij", x!, column) },
        { name: "rows", node: b.einsum("ik,kj->ij", g!, a!) },
      ]);
      const numbers = Float32Array.from({ length: 16 }, (_n, i) => i + 1);
      const inputs = { x: new Float32Array(64).fill(1), g: new Float32Array(4).fill(1), a: numbers };
      const { sums, rows } = await runOnce(executor, graph, inputs);
      expect([...sums!]).toEqual([136, 136, 136, 136]);
      expect([...rows!]).toEqual([...numbers, ...numbers, ...numbers, ...numbers]);
    });

    it("keeps integers, booleans and unsigned numbers exact", async () => {
      const k = new Builder("integers");
      const a = k.port("a", "input", "i32", [4]);
      const u = k.port("u", "input", "u32", [4]);
      const p = k.port("p", "input", "bool", [2, 2]);
      const flags = k.transpose(k.broadcast(p, [3, 2, 2], [1, 2]), [2, 0, 1]);
      const graph = k.finish([
        { name: "product", node: k.mul(a, a) },
        { name: "remainder", node: k.add("mod", [a, k.constantLike(a, 7)]) },
        { name: "larger", node: k.cast(k.compare("lt", k.constant(2 ** 31, [4], "u32"), u), "f32") },
        { name: "wide", node: u },
        { name: "flags", node: flags },
        { name: "part", node: k.slice(flags, [0, 1, 0], [2, 3, 1]) },
        { name: "chosen", node: k.select(p, k.add("not", [p]), k.compare("eq", p, p)) },
        { name: "some", node: k.cast(k.cast(a, "f32"), "bool") },
      ]);
      const inputs = { a: [0, 41, 9999, 46340], u: [1, 2 ** 31, 2 ** 31 + 1, 2 ** 32 - 256], p: [1, 0, 0, 1] };
      const expected = evaluate(graph, inputs);
      const got = await runOnce(executor, graph, inputs);
      for (const { name } of graph.outputs)
        expect([...got[name]!], name).toEqual([...Float32Array.from(expected[name]!.data)]);
    });
  });
}

describe("frozen values and memory", () => {
  it("stays flat over 50 runs and frees everything at the end", async () => {
    const executor = await tfjsExecutor();
    const { tf } = await loadBackend();
    const k = new Builder("layer");
    const x = k.port("x", "input", "f32", [4, 6]);
    const w = k.cast(k.port("w", "weight", "bf16", [5, 6]), "f32");
    const table = k.add("cos", [k.add("exp", [w])]);
    const y = k.plus(k.einsum("mk,nk->mn", x, w), k.einsum("mk,nk->mn", x, table));
    const graph = k.finish([
      { name: "y", node: y },
      { name: "unused", node: k.add("exp", [y]) },
    ]);
    const random = generator(1);
    const weights = Float32Array.from({ length: 30 }, () => Math.round(random() * 16) / 16);
    const inputs = { x: Float32Array.from({ length: 24 }, random) };
    const before = tf.memory().numTensors;
    const instance = await executor.instantiate(programOf({ forward: graph }), new Map([["w", weights]]));
    const expected = evaluate(graph, { ...inputs, w: weights }).y!.data;
    await instance.run(["forward"], inputs, ["y"]);
    const after = tf.memory().numTensors;
    for (let i = 0; i < 50; i++)
      expect(difference((await instance.run(["forward"], inputs, ["y"])).y!, expected)).toBeLessThan(1e-6);
    expect(tf.memory().numTensors).toBe(after);
    instance.dispose();
    expect(tf.memory().numTensors).toBe(before);
    await expect(instance.run(["forward"], inputs)).rejects.toThrow("disposed");
  });

  it("frees the values of a run that fails", async () => {
    const executor = await tfjsExecutor();
    const { tf } = await loadBackend();
    const k = new Builder("bad");
    const x = k.add("exp", [k.port("x", "input", "f32", [3, 2])]);
    const graph = k.finish([{ name: "y", node: k.add("gather", [x, k.port("i", "input", "i32", [2])]) }]);
    const instance = await executor.instantiate(programOf({ forward: graph }), new Map());
    const before = tf.memory().numTensors;
    await expect(instance.run(["forward"], { x: [1, 2, 3, 4, 5, 6], i: [0, 3] }, ["y"])).rejects.toThrow();
    await expect(instance.run(["forward"], { x: [1, 2, 3], i: [0, 1] }, ["y"])).rejects.toMatchObject({
      code: "DATA-INPUT-SIZE",
    });
    expect(tf.memory().numTensors).toBe(before);
    instance.dispose();
  });

  it("leaves the backend that was current alone", async () => {
    const { tf } = await loadBackend({ backend: "cpu" });
    await tf.setBackend("cpu");
    const executor = await tfjsExecutor({ backend: "wasm" });
    expect(tf.getBackend()).toBe("cpu");
    const k = new Builder("one");
    const graph = k.finish([{ name: "y", node: k.add("exp", [k.port("x", "input", "f32", [])]) }]);
    expect((await runOnce(executor, graph, { x: [0] })).y![0]).toBe(1);
    expect(tf.getBackend()).toBe("cpu");
  });
});
