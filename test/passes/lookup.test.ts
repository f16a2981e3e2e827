/** Columns of operators and picked entries, lowered, against their matrices; and that a table is never formed. */
import { describe, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { algebraRules } from "../../src/passes/algebra.ts";
import { associate } from "../../src/passes/associate.ts";
import { differentiate } from "../../src/passes/differentiate.ts";
import { rewrite } from "../../src/passes/rewrite.ts";
import { operatorValues } from "../ir/operator-values.ts";
import { noise } from "../methods/helpers.ts";

const [tokens, width, rank] = [11, 6, 2];
const ids = [3, 0, 10, 3, 7, 5];
const chosen = [7, 3];
const inverse = Array.from({ length: tokens }, (_unused, i) => chosen.indexOf(i));

const data: Record<string, ArrayLike<number>> = {
  ids,
  chosen,
  inverse,
  table: noise(tokens * width, 1),
  A: noise(rank * tokens, 2),
  B: noise(width * rank, 3),
  rows: noise(chosen.length * width, 4),
  scales: noise(tokens, 5),
  kept: inverse.map((place) => (place < 0 ? 1 : 0)),
  blocks: noise(2 * 3 * 3, 6),
  x: noise(3 * tokens, 7),
};

/** Operators from the table's tokens to its width, as fragments make them. */
const operators: Readonly<Record<string, (b: Builder) => number>> = {
  table: (b) => table(b),
  "sum with a product": (b) => b.add("op.add", [table(b), lowRank(b)]),
  "scaled product": (b) => b.add("op.scale", [lowRank(b), b.constant(0.5)]),
  "rotated output": (b) => b.add("op.compose", [blocks(b), table(b)]),
  "scaled tokens": (b) => b.add("op.compose", [table(b), b.add("op.diag", [param(b, "scales", [tokens])])]),
  "replaced rows": (b) =>
    b.add("op.add", [
      b.add("op.compose", [table(b), b.add("op.diag", [b.port("kept", "buffer", "f32", [tokens])])]),
      b.add("op.compose", [b.add("op.transpose", [b.dense(param(b, "rows", [chosen.length, width]))]), select(b)]),
    ]),
};

const param = (b: Builder, name: string, shape: readonly number[]): number => b.port(name, "param", "f32", shape);
const table = (b: Builder): number =>
  b.add("op.transpose", [b.dense(b.port("table", "weight", "f32", [tokens, width]))]);
const lowRank = (b: Builder): number =>
  b.add("op.compose", [b.dense(param(b, "B", [width, rank])), b.dense(param(b, "A", [rank, tokens]))]);
const blocks = (b: Builder): number => b.add("op.blockdiag", [param(b, "blocks", [2, 3, 3])]);
const select = (b: Builder): number =>
  b.add("op.select", [
    b.port("chosen", "buffer", "i32", [chosen.length]),
    b.port("inverse", "buffer", "i32", [tokens]),
  ]);

const lowered = (graph: Graph): Graph => associate(rewrite(graph, algebraRules).graph, { train: true }).graph;

describe.each(Object.entries(operators))("%s", (_name, make) => {
  const builder = new Builder("lookup");
  const operator = make(builder);
  const columns = builder.add("op.lookup", [operator, builder.port("ids", "input", "i32", [2, 3])]);
  const weights = builder.port("weights", "input", "f32", [2, 3, width]);
  const loss = builder.sum(builder.mul(columns, weights), [0, 1, 2]);
  const graph = builder.finish([
    { name: "columns", node: columns },
    { name: "loss", node: loss },
  ]);
  const all = { ...data, weights: noise(6 * width, 8) };

  it("has the columns of its matrix", () => {
    const matrix = operatorValues(graph, all)(operator).data;
    const want = ids.flatMap((id) => Array.from({ length: width }, (_unused, o) => matrix[o * tokens + id]!));
    const got = evaluate(lowered(graph), all).columns!.data;
    for (const [i, x] of got.entries()) expect(x).toBeCloseTo(want[i]!, 12);
    expect([...operatorValues(graph, all)(columns).data]).toEqual(want);
  });

  it("forms no other matrix of the size of the table", () => {
    const shapes = lowered(graph).nodes.flatMap(({ op, type }) =>
      op !== "port" && op !== "transpose" && type.kind === "tensor" ? [type.shape] : [],
    );
    expect(shapes.filter((shape) => shape.includes(tokens) && shape.includes(width))).toEqual([]);
  });

  it("has the gradients of difference quotients", () => {
    const training = differentiate(lowered(graph));
    const results = evaluate(training, all);
    for (const { name } of training.outputs.filter((output) => output.name.startsWith("grad."))) {
      const key = name.slice("grad.".length);
      const direction = noise(all[key as keyof typeof all]!.length, 9);
      const moved = (by: number): number =>
        evaluate(training, {
          ...all,
          [key]: Array.from(all[key as keyof typeof all]!, (v, i) => v + by * direction[i]!),
        }).loss!.data[0]!;
      const slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
      const gradient = results[name]!.data.reduce((sum, g, i) => sum + g * direction[i]!, 0);
      expect(gradient).toBeCloseTo(slope, 8);
    }
  });
});

describe("picked entries", () => {
  const apply = (transposed: boolean): number[] => {
    const b = new Builder("select");
    const operator = transposed ? b.add("op.transpose", [select(b)]) : select(b);
    const x = b.port("x", "param", "f32", [3, transposed ? chosen.length : tokens]);
    const graph = b.finish([{ name: "y", node: b.apply(operator, x) }]);
    const size = 3 * (transposed ? chosen.length : tokens);
    return [...evaluate(lowered(graph), { ...data, x: Array.from(data.x!).slice(0, size) }).y!.data];
  };

  it("are read by number, and put back with zeros around", () => {
    const x = Array.from(data.x!);
    expect(apply(false)).toEqual([0, 1, 2].flatMap((row) => chosen.map((i) => x[row * tokens + i]!)));
    const want = [0, 1, 2].flatMap((row) => inverse.map((place) => (place < 0 ? 0 : x[row * 2 + place]!)));
    // + 0 turns -0, a number below 0 times 0, into 0
    expect(apply(true).map((y) => y + 0)).toEqual(want);
  });
});
