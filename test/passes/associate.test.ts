/** Associate: which side works, and what must never be folded. */
import { describe, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import type { TensorType } from "../../src/ir/types.ts";
import { associate } from "../../src/passes/associate.ts";

/** y = (W + B A D) x for `tokens` vectors, D dropout or nothing. */
function lowRank(tokens: number, dropout: boolean, width = 32, rank = 4) {
  const b = new Builder("low rank");
  const x = b.port("x", "input", "f32", [1, tokens, width]);
  const [W, A, B] = [
    b.port("W", "weight", "f32", [width, width]),
    b.port("A", "param", "f32", [rank, width]),
    b.port("B", "param", "f32", [width, rank]),
  ];
  const scalars = ["seed", "step", "offset"].map((name) => b.port(name, "input", "u32", []));
  const factors = [b.dense(B), b.dense(A)];
  if (dropout) factors.push(b.add("op.dropout", scalars, { size: width, p: 0.5, site: 0, tensor: 1 }));
  const operator = b.add("op.add", [b.dense(W), b.add("op.compose", factors)]);
  return b.finish([{ name: "y", node: b.apply(operator, x) }]);
}

const numbers = (n: number, seed: number): number[] =>
  Array.from({ length: n }, (_unused, i) => Math.sin(seed + 1.7 * i));

describe("associate", () => {
  it("works on the activations for few tokens and folds the weight for many, and says what it compared", () => {
    const [few, many] = [
      associate(lowRank(4, false), { train: false }),
      associate(lowRank(4096, false), { train: false }),
    ];
    expect(few.notes[0]).toMatchObject({ decision: "activation" });
    expect(many.notes[0]).toMatchObject({ decision: "weight" });
    for (const { candidates } of [...few.notes, ...many.notes])
      expect(Object.keys(candidates).sort()).toEqual(["activation", "weight"]);
  });

  it("never folds what varies over tokens: rows of a batch are what each is alone", () => {
    for (const tokens of [2, 64, 4096]) {
      const { graph, notes } = associate(lowRank(tokens, true), { train: true });
      expect(notes[0]!.decision).toBe("activation");
      const mask = graph.nodes.find((node) => node.op === "uniform")!;
      expect((mask.type as TensorType).shape).toEqual([1, tokens, 32]);
    }
  });

  it("gives the same numbers on both sides", () => {
    const ports = { W: numbers(1024, 1), A: numbers(128, 2), B: numbers(128, 3) };
    const few = evaluate(associate(lowRank(4, false), { train: false }).graph, { ...ports, x: numbers(128, 4) }).y!;
    const many = evaluate(associate(lowRank(1024, false), { train: false }).graph, {
      ...ports,
      x: numbers(32 * 1024, 4),
    }).y!;
    few.data.forEach((value, i) => {
      expect(many.data[i]!).toBeCloseTo(value, 9);
    });
  });
});
