/** Values that are larger than a binding: in chunks they are the same numbers, and nothing that a kernel binds is too large. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cpuTarget, defaultTarget, generate, type Target } from "../../src/codegen/index.ts";
import { Builder } from "../../src/ir/builder.ts";
import { cutsOf, partAttributes } from "../../src/ir/cuts.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import { type Graph, ports } from "../../src/ir/graph.ts";
import { opRecords } from "../../src/ir/registry.ts";
import { parseGraph } from "../../src/ir/text/parse.ts";
import { printGraph } from "../../src/ir/text/print.ts";
import { sizeOf, type TensorType } from "../../src/ir/types.ts";
import { verify } from "../../src/ir/verify.ts";
import { crossEntropy } from "../../src/models/loss.ts";
import { differentiate } from "../../src/passes/differentiate.ts";
import { partition } from "../../src/passes/partition.ts";
import { chunksOf } from "../../src/passes/partition-chunks.ts";
import { combined, rangesOf, sliced } from "../../src/passes/partition-parts.ts";
import { rewrite } from "../../src/passes/rewrite.ts";
import { simplifyRules } from "../../src/passes/simplify.ts";
import { Simulation } from "../codegen/simulate.ts";
import { part } from "../extent.ts";
import { randomGraph } from "../runtime/executor-random-graph.ts";
import { difference, generator, noStorage, randomData, sampleInputs } from "../runtime/executor-samples.ts";

const records = opRecords().filter((r) => r.opClass !== "operator" && r.samples !== undefined);

/** The op on ports, whole (`y`) and along every cut in two parts put together again (`cut0` ...). */
function cutGraph(
  record: (typeof records)[number],
  sample: ReturnType<NonNullable<(typeof records)[number]["samples"]>>[number],
): Graph {
  const k = new Builder(record.name);
  const inputs = sample.inputs.map((type, i) => k.port(`x${i}`, "input", type.dtype, type.shape));
  const y = k.add(record.name, inputs, sample.attributes);
  const node = k.node(y);
  const outputs = cutsOf(node, sample.inputs).flatMap((cut, i) => {
    const place = cut.inputs.findIndex((axis) => axis !== undefined);
    const extent =
      cut.output === undefined ? sample.inputs[place]!.shape[cut.inputs[place]!]! : k.shape(y)[cut.output]!;
    if (extent < 2) return [];
    const parts = [
      { from: 0, to: 1 },
      { from: 1, to: extent },
    ].map((range) =>
      k.add(
        record.name,
        inputs.map((input, at) => (cut.inputs[at] === undefined ? input : sliced(k, input, cut.inputs[at], range))),
        partAttributes(node, cut, range),
      ),
    );
    return [{ name: `cut${i}`, node: combined(k, parts, cut) }];
  });
  return k.finish([{ name: "y", node: y }, ...outputs]);
}

describe("cuts", () => {
  it.each(records)("of $name give the same in parts", (record) => {
    for (const sample of record.samples!()) {
      const { y, ...cuts } = evaluate(cutGraph(record, sample), sampleInputs(sample, generator(4)));
      for (const [name, part] of Object.entries(cuts)) {
        expect(part.shape, name).toEqual(y!.shape);
        expect(difference(part.data, y!.data), name).toBeLessThan(1e-12);
      }
    }
  });

  it("are there for all that a head and its loss are made of", () => {
    for (const name of ["einsum", "sum", "reduce_max", "broadcast", "transpose", "reshape", "gather", "slice"])
      expect(records.find((r) => r.name === name)!.cuts, name).toBeTypeOf("function");
  });
});

/** A head with a low-rank update, its loss and all gradients: x [b,s,h], a table [v,h] that also looks up what is added to x. */
function headGraph([b, s, h, v]: readonly [number, number, number, number]): Graph {
  const k = new Builder("head");
  const table = k.cast(k.port("table", "weight", "bf16", [v, h]), "f32");
  const rows = k.add("gather", [table, k.port("ids", "input", "i32", [b, s])]);
  const x = k.plus(rows, k.port("x", "param", "f32", [b, s, h]));
  const [down, up] = [k.port("down", "param", "f32", [3, h]), k.port("up", "param", "f32", [v, 3])];
  const update = k.einsum("abk,nk->abn", k.einsum("abk,nk->abn", x, down), up);
  const logits = k.plus(k.einsum("abk,nk->abn", x, table), update);
  const loss = crossEntropy(k, logits, k.port("labels", "input", "i32", [b, s]), k.constant(1 / (b * s)));
  const graph = k.finish([
    { name: "logits", node: logits },
    { name: "loss", node: loss },
  ]);
  return rewrite(differentiate(graph), simplifyRules).graph;
}

function headFeeds(graph: Graph): Record<string, Float32Array> {
  const random = generator(9);
  const rows = (graph.nodes[ports(graph, "weight")[0]!.id]!.type as TensorType).shape[0]!;
  return Object.fromEntries(
    ports(graph).map(({ name, node }) => {
      const type = node.type as TensorType;
      const data = randomData(type, type.dtype === "i32" ? [0, rows - 1] : [-1, 1], random);
      const isHalf = type.dtype === "bf16";
      return [name, isHalf ? data.map((x) => Math.fround(Math.round(x * 64) / 64)) : data];
    }),
  );
}

const limited = (target: Target, bytes: number): Target => ({
  ...target,
  limits: { ...target.limits, maxStorageBufferBindingSize: bytes },
  largestBinding: bytes,
});

const heads = [
  { name: "a batch", sizes: [6, 5, 8, 96], limit: 6000 },
  { name: "one row", sizes: [1, 20, 8, 96], limit: 4000 },
  { name: "rows and then tokens", sizes: [2, 32, 8, 96], limit: 8000 },
  { name: "a table too", sizes: [2, 6, 16, 200], limit: 3000 },
  { name: "a vocabulary that is odd", sizes: [3, 4, 12, 211], limit: 3000 },
] as const;

describe("a head that is too large", () => {
  it.each(heads)("$name: the same numbers in chunks", ({ sizes, limit }) => {
    const graph = headGraph(sizes);
    const { graph: cut, notes } = partition(graph, limit);
    verify(cut, "tensor");
    expect(parseGraph(printGraph(cut))).toEqual(parseGraph(printGraph(parseGraph(printGraph(cut)))));
    expect(notes!.length).toBeGreaterThan(0);
    const feeds = headFeeds(graph);
    const [whole, parts] = [evaluate(graph, feeds), evaluate(cut, feeds)];
    for (const name of Object.keys(whole))
      expect(difference(parts[name]!.data, whole[name]!.data), name).toBeLessThan(1e-12);
  });

  const targets = [cpuTarget, defaultTarget];
  // Heads are odd in number: every other pair has each of them, and both targets.
  it.each(
    part(
      targets.flatMap((target) => heads.map((head) => ({ ...head, target, kind: target.kind }))),
      2,
    ),
  )("$name: kernels for a $kind target bind no more than they may", ({ sizes, limit, target }) => {
    const graph = headGraph(sizes);
    const feeds = headFeeds(graph);
    const cut = partition(graph, limit).graph;
    const generated = generate([{ name: "forward", graph: cut }], noStorage, limited(target, limit));
    const bindings = generated.plan.stages.flatMap((stage) => stage.dispatches.flatMap((d) => d.bindings));
    expect(Math.max(...bindings.map(({ size }) => size))).toBeLessThanOrEqual(limit);
    const got = new Simulation(generated).run("forward", feeds);
    const exact = evaluate(graph, feeds);
    for (const name of Object.keys(exact)) expect(difference(got[name]!, exact[name]!.data), name).toBeLessThan(2e-5);
  });

  it.each([
    ["", [16, 8, 8, 256], 70_000],
    [", from a table in parts", [4, 8, 8, 4096], 60_000],
  ] as const)("is in memory by chunks alone when only its loss is wanted%s", (_name, sizes, limit) => {
    const graph = headGraph(sizes);
    const only = { ...graph, outputs: graph.outputs.filter(({ name }) => name !== "grad.up" && name !== "grad.down") };
    const { plan } = generate(
      [{ name: "forward", graph: partition(only, limit).graph }],
      noStorage,
      limited(defaultTarget, limit),
    );
    const arena = plan.buffers
      .filter(({ name }) => name.startsWith("arena"))
      .reduce((sum, { bytes }) => sum + bytes, 0);
    const logits = 4 * sizeOf([sizes[0], sizes[1], sizes[3]]);
    expect(arena).toBeLessThan(logits / 2);
    const always = plan.stages[0]!.dispatches.filter(({ outputs }) => outputs.includes("loss"));
    expect(always.some(({ bindings }) => bindings.some(({ buffer }) => buffer.startsWith("pieces")))).toBe(false);
  });
});

describe("two tables that are too large", () => {
  it("are read whole where they meet and their parts are others", () => {
    const k = new Builder("tables");
    const [half, full] = [k.port("half", "weight", "bf16", [64, 4]), k.port("full", "buffer", "f32", [64, 4])];
    const rows = k.add("gather", [k.plus(k.cast(half, "f32"), full), k.port("ids", "input", "i32", [5])]);
    const graph = k.finish([{ name: "rows", node: rows }]);
    const cut = partition(graph, 400).graph;
    verify(cut, "tensor");
    const feeds = headFeeds(graph);
    expect(evaluate(cut, feeds).rows).toEqual(evaluate(graph, feeds).rows);
  });
});

describe("random graphs", () => {
  it("have the same numbers in chunks", () => {
    fc.assert(
      fc.property(
        fc.nat(1e6),
        fc.integer({ min: 4, max: 24 }),
        fc.integer({ min: 8, max: 120 }),
        (seed, length, limit) => {
          const { graph, inputs } = randomGraph(seed, length);
          const cut = partition(graph, limit).graph;
          verify(cut, "tensor");
          const [whole, parts] = [evaluate(graph, inputs), evaluate(cut, inputs)];
          // Again: randomGraph(seed, length) with this limit.
          for (const name of Object.keys(whole))
            expect(difference(parts[name]!.data, whole[name]!.data), name).toBeLessThan(1e-9);
        },
      ),
      { seed: 3, numRuns: 300 },
    );
  });
});

describe("ranges", () => {
  it("fill an axis, none of them too large", () => {
    for (const [extent, most] of [
      [8, 1],
      [512, 65],
      [211, 10],
      [7, 100],
    ] as const) {
      const ranges = rangesOf(extent, 1, most);
      expect(ranges[0]!.from).toBe(0);
      expect(ranges.at(-1)!.to).toBe(extent);
      for (const [i, { from, to }] of ranges.entries()) {
        expect(to - from).toBeLessThanOrEqual(most);
        expect(to).toBe(ranges[i + 1]?.from ?? extent);
      }
    }
  });
});

it("values that take too many parts are refused before any is made, also where those along the first axis are few", () => {
  const k = new Builder("wide");
  const shape = [2 ** 10, 2 ** 36];
  const ends = shape.map((size, axis) => k.broadcast(k.port(`x${axis}`, "input", "f32", [size]), shape, [axis]));
  const graph = k.finish([{ name: "y", node: k.plus(ends[0]!, ends[1]!) }]);
  expect(() => chunksOf(graph, 2 ** 26, "0")).toThrow(expect.objectContaining({ code: "COMPILE-LIMIT" }));
});

it("chunks that each read a table in parts are refused where both together are too many", () => {
  const k = new Builder("head");
  const x = k.port("x", "input", "f32", [4096, 16]);
  const table = k.port("table", "weight", "f32", [2 ** 17, 16]);
  const graph = k.finish([{ name: "y", node: k.einsum("ti,vi->tv", x, table) }]);
  expect(chunksOf(graph, 2 ** 19, "0").members.size).toBeGreaterThan(0);
  expect(partition(graph, 2 ** 21).graph.nodes.length).toBeLessThan(60_000);
  const refusal = { code: "COMPILE-LIMIT", got: expect.stringContaining("parts of f32[131072,16]") };
  expect(() => partition(graph, 2 ** 19)).toThrow(expect.objectContaining(refusal));
});
