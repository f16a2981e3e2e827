/** Associate: which side works, and what must never be folded. */
import { describe, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import { type Graph, ports } from "../../src/ir/graph.ts";
import { sizeOf, type TensorType } from "../../src/ir/types.ts";
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

describe("structured operators", () => {
  type Make = (b: Builder) => number;
  const width = 24;
  const param = (b: Builder, name: string, shape: readonly number[]): number => b.port(name, "param", "f32", shape);
  const matrix = (b: Builder, name: string, rows: number, columns: number): number =>
    b.dense(param(b, name, [rows, columns]));
  const lowRankOf = (b: Builder, name: string, rank: number): number =>
    b.add("op.compose", [matrix(b, `${name}.left`, width, rank), matrix(b, `${name}.right`, rank, width)]);

  const circulants: Readonly<Record<string, Make>> = {
    "of even width": (b) => b.add("op.circulant", [param(b, "w", [3, 3, 8])]),
    "of odd width": (b) => b.add("op.circulant", [param(b, "w", [8, 8, 3])]),
  };

  const graphOf = (make: Make, tokens: number): Graph => {
    const b = new Builder("structured");
    return b.finish([{ name: "y", node: b.apply(make(b), b.port("x", "input", "f32", [tokens, width])) }]);
  };

  function data(graph: Graph): Record<string, number[]> {
    const shapes = ports(graph).map(({ name, node }) => [name, (node.type as TensorType).shape] as const);
    return Object.fromEntries(shapes.map(([name, shape], i) => [name, numbers(sizeOf(shape), i)]));
  }

  it.each(Object.entries(circulants))(
    "circulant blocks %s: spectra for few tokens, their matrix for many",
    (_name, make) => {
      const folded = associate(graphOf(make, 400), { train: false });
      const unfolded = associate(graphOf(make, 2), { train: false });
      expect([unfolded.notes[0]!.decision, folded.notes[0]!.decision]).toEqual(["activation", "weight"]);
      const values = data(folded.graph);
      const whole = evaluate(folded.graph, values).y!.data;
      const first = evaluate(unfolded.graph, { ...values, x: values.x!.slice(0, 2 * width) }).y!.data;
      first.forEach((value, i) => {
        expect(whole[i]!).toBeCloseTo(value, 9);
      });
    },
  );

  const sizes = (make: Make, tokens: number): number[] =>
    associate(graphOf(make, tokens), { train: false }).graph.nodes.map(({ type }) =>
      sizeOf((type as TensorType).shape),
    );

  it("never makes the matrix of a Kronecker product, nor of an entrywise product of low ranks", () => {
    const kron: Make = (b) => b.add("op.kron", [matrix(b, "A", 4, 4), matrix(b, "B", 6, 6)]);
    const hadamard =
      (rank: number): Make =>
      (b) =>
        b.add("op.hadamard", [lowRankOf(b, "A", rank), lowRankOf(b, "B", rank)]);
    for (const make of [kron, hadamard(2)]) expect(sizes(make, 100)).not.toContain(width * width);
    expect(sizes(hadamard(5), 100)).toContain(width * width);
  });

  it("distributes W (I + A B) over the sum where W has fewer rows than columns", () => {
    const contractions = (rows: number): string[] => {
      const b = new Builder("distributed");
      const [A, B] = [b.dense(param(b, "A", [256, 4])), b.dense(param(b, "B", [4, 256]))];
      const sum = b.add("op.add", [b.add("op.identity", [], { size: 256 }), b.add("op.compose", [A, B])]);
      const operator = b.add("op.compose", [b.dense(b.port("W", "weight", "f32", [rows, 256])), sum]);
      const y = b.apply(operator, b.port("x", "input", "f32", [256, 256]));
      const { graph } = associate(b.finish([{ name: "y", node: y }]), { train: true });
      return graph.nodes.filter(({ op }) => op === "einsum").map(({ type }) => (type as TensorType).shape.join());
    };
    expect(contractions(64)).toEqual(expect.arrayContaining(["4,64", "256,64"]));
    expect(contractions(256)).not.toContain("4,256");
    expect(contractions(256).filter((shape) => shape === "256,256")).toHaveLength(2);
  });
});
