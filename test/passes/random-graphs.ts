/** Random graphs on which the rules of the algebra and of the simplification find something to do. */
import fc from "fast-check";
import { Builder } from "../../src/ir/builder.ts";
import type { Graph } from "../../src/ir/graph.ts";

export type Make = (b: Builder) => number;

const size = 6;
const param = (b: Builder, shape: readonly number[]): number => b.port(`p${b.size}`, "param", "f32", shape);

const leaf: fc.Arbitrary<Make> = fc.oneof(
  fc.constant<Make>((b) => b.dense(param(b, [size, size]))),
  fc.constant<Make>((b) => b.add("op.diag", [param(b, [size])])),
  fc.constantFrom(1, 2, 3, 6).map<Make>((g) => (b) => b.add("op.blockdiag", [param(b, [g, size / g, size / g])])),
  fc.constant<Make>((b) => b.add("op.identity", [], { size })),
  fc.constant<Make>((b) => b.add("op.fold", [], { in: size, size })),
  fc.constantFrom(1, 2, 3, 6).map<Make>((b0) => (b) => b.add("op.circulant", [param(b, [size / b0, size / b0, b0])])),
  fc.constantFrom(2, 6).map<Make>((group) => (b) => b.add("op.turn", [], { size, group })),
  fc
    .constantFrom(2, 3, 4)
    .map<Make>(
      (width) => (b) =>
        b.add("op.compose", [b.dense(param(b, [size, width])), b.add("op.fold", [], { in: size, size: width })]),
    ),
  fc
    .constantFrom(2, 3)
    .map<Make>(
      (outer) => (b) =>
        b.add("op.kron", [b.dense(param(b, [outer, outer])), b.dense(param(b, [size / outer, size / outer]))]),
    ),
  fc
    .constantFrom([2, 3], [3, 2], [6, 1])
    .chain((shape) => fc.constantFrom([0, 1], [1, 0]).map((permutation) => ({ shape, permutation })))
    .map<Make>((attributes) => (b) => b.add("op.shuffle", [], attributes)),
  fc.constant<Make>((b) => {
    const scalars = ["seed", "step", "sample_offset"].map((name) => b.port(name, "input", "u32", []));
    return b.add("op.dropout", scalars, { size, p: 0, site: 0, tensor: 1 });
  }),
  fc.constantFrom([2, 3], [3, 2]).map<Make>(([m, n]) => (b) => {
    const factors = [b.dense(param(b, [m!, m!])), b.add("op.diag", [param(b, [n!])])];
    return b.add("op.kron", factors);
  }),
  fc.constantFrom(2, 6).map<Make>((group) => (b) => b.add("op.turn", [], { size, group })),
  fc.constantFrom(2, 4, 8).map<Make>((folded) => (b) => {
    const fold = b.add("op.fold", [], { in: size, size: folded });
    return b.add("op.compose", [b.dense(param(b, [size, folded])), fold]);
  }),
);

/** A shuffle and the one that undoes it. */
const undone: fc.Arbitrary<Make> = fc.constantFrom([2, 3], [3, 2]).map<Make>(([m, n]) => (b) => {
  const there = b.add("op.shuffle", [], { shape: [m!, n!], permutation: [1, 0] });
  return b.add("op.compose", [there, b.add("op.shuffle", [], { permutation: [1, 0], shape: [n!, m!] })]);
});

/** Two products of blocks of one size, side by side. */
const blocks: fc.Arbitrary<Make> = fc.constantFrom(2, 3).map<Make>((g) => (b) => {
  const one = (): number => b.add("op.blockdiag", [param(b, [g, size / g, size / g])]);
  return b.add("op.compose", [one(), one()]);
});

/** I + 0.05 A squared again and again: small when shared, and long written out. */
export const power: Make = (b) => {
  const small = b.add("op.scale", [b.dense(param(b, [size, size])), b.constant(0.05)]);
  let made = b.add("op.add", [b.add("op.identity", [], { size }), small]);
  for (let turn = 0; turn < 6; turn++) made = b.add("op.compose", [made, made]);
  return made;
};

/** Equal operators are common, so that terms meet: a few leaves of fixed names. */
const shared: fc.Arbitrary<Make> = fc
  .constantFrom("V", "W")
  .map<Make>((name) => (b) => b.dense(b.port(name, "weight", "f32", [size, size])));

/** Any operator over vectors of 6. */
export const operator: fc.Arbitrary<Make> = fc.letrec<{ operator: Make }>((tie) => {
  const several = fc.array(tie("operator"), { minLength: 1, maxLength: 3 });
  const many = (op: string) =>
    several.map<Make>(
      (makes) => (b) =>
        b.add(
          op,
          makes.map((make) => make(b)),
        ),
    );
  const factor = fc.oneof(
    fc.constantFrom(1, 2, -1, 0.5).map<Make>((value) => (b) => b.constant(value)),
    fc.constant<Make>((b) => param(b, [])),
  );
  return {
    operator: fc.oneof(
      { depthSize: "small" },
      leaf,
      shared,
      undone,
      blocks,
      many("op.compose"),
      many("op.add"),
      fc.tuple(tie("operator"), tie("operator")).map<Make>(
        ([left, right]) =>
          (b) =>
            b.add("op.hadamard", [left(b), right(b)]),
      ),
      tie("operator").map<Make>((make) => (b) => b.add("op.transpose", [make(b)])),
      fc.tuple(tie("operator"), tie("operator")).map<Make>(
        ([first, second]) =>
          (b) =>
            b.add("op.hadamard", [first(b), second(b)]),
      ),
      fc.tuple(tie("operator"), factor).map<Make>(
        ([make, by]) =>
          (b) =>
            b.add("op.scale", [make(b), by(b)]),
      ),
    ),
  };
}).operator;

/** An operator over vectors of 6, applied and as a matrix. */
export function graphOf(make: Make): Graph {
  const b = new Builder("main");
  const made = make(b);
  const x = b.port("x", "input", "f32", [2, size]);
  return b.finish([
    { name: "y", node: b.apply(made, x) },
    { name: "matrix", node: b.add("op.to_dense", [made]) },
  ]);
}

/** An operator with a gate in it, which has no matrix: applied only. The batch has two samples. */
export function gatedGraphOf(make: Make): Graph {
  const b = new Builder("main");
  return b.finish([{ name: "y", node: b.apply(make(b), b.port("x", "input", "f32", [2, size])) }]);
}

/** A number for every sample. */
export const gate = (b: Builder): number => b.add("op.scalar_gate", [b.port("gates", "input", "f32", [2])], { size });

const gatedGraph: fc.Arbitrary<Graph> = fc
  .tuple(operator, operator, fc.boolean())
  .map(([left, right, first]) =>
    gatedGraphOf((b) => b.add("op.compose", first ? [left(b), gate(b), right(b)] : [left(b), right(b), gate(b)])),
  );

export const operatorGraph: fc.Arbitrary<Graph> = fc.oneof(
  { weight: 9, arbitrary: operator.map(graphOf) },
  { weight: 1, arbitrary: fc.constant(power).map(graphOf) },
  { weight: 1, arbitrary: gatedGraph },
);

export type Step = (b: Builder, pick: (i: number) => number) => number;

const shape = [2, 3];
const nat = fc.oneof(fc.nat({ max: 1 }), fc.nat({ max: 12 }));
const value = fc.constantFrom(0, 1, -1, 2, -0.5);
const unary = fc.constantFrom("softmax", "neg", "tanh", "sin", "stop_gradient", "abs", "sigmoid");
const unit = (b: Builder, x: number): number => b.add("tanh", [x]);
const constant = (b: Builder, v: number): number => b.constant(v, shape);

export const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(unary, nat).map<Step>(
    ([op, i]) =>
      (b, pick) =>
        b.add(op, [pick(i)]),
  ),
  fc.tuple(fc.constantFrom("add", "sub", "mul", "maximum", "minimum"), nat, nat).map<Step>(
    ([op, i, j]) =>
      (b, pick) =>
        unit(b, b.add(op, [pick(i), pick(j)])),
  ),
  fc.tuple(fc.constantFrom("add", "sub", "mul"), nat, value, fc.boolean()).map<Step>(
    ([op, i, v, left]) =>
      (b, pick) =>
        b.add(op, left ? [constant(b, v), pick(i)] : [pick(i), constant(b, v)]),
  ),
  fc.tuple(nat, fc.constantFrom(1, 2)).map<Step>(
    ([i, v]) =>
      (b, pick) =>
        b.add("div", [pick(i), constant(b, v)]),
  ),
  value.map<Step>((v) => (b) => b.reshape(b.constant(v, [6]), shape)),
  nat.map<Step>((i) => (b, pick) => b.add("reshape", [b.reshape(pick(i), [3, 2])], { shape })),
  nat.map<Step>((i) => (b, pick) => b.add("transpose", [b.transpose(pick(i), [1, 0])], { permutation: [1, 0] })),
  nat.map<Step>((i) => (b, pick) => b.reshape(b.transpose(b.reshape(pick(i), [2, 1, 3]), [1, 0, 2]), shape)),
  nat.map<Step>((i) => (b, pick) => {
    const rows = b.broadcast(unit(b, b.sum(pick(i), [0])), [2, 3], [1]);
    return b.slice(b.reshape(b.broadcast(rows, [4, 2, 3], [1, 2]), [8, 3]), [2, 0], [4, 3]);
  }),
  nat.map<Step>((i) => (b, pick) => b.add("slice", [pick(i)], { start: [0, 0], limit: shape })),
  fc.tuple(nat, fc.constantFrom(1, 2)).map<Step>(([i, low]) => (b, pick) => {
    const padded = b.add("pad", [pick(i)], { low: [0, low], high: [1, 0] });
    return b.slice(padded, [0, low], [2, low + 3]);
  }),
  fc.tuple(nat, nat, fc.constantFrom(1, 2), fc.boolean()).map<Step>(([i, j, at, swap]) => (b, pick) => {
    const left = b.add("pad", [b.slice(pick(i), [0, 0], [2, at])], { low: [0, 0], high: [0, 3 - at] });
    const right = b.add("pad", [b.slice(pick(j), [0, at], [2, 3])], { low: [0, at], high: [0, 0] });
    return b.add("add", swap ? [right, left] : [left, right]);
  }),
  nat.map<Step>((i) => (b, pick) => b.neg(b.neg(pick(i)))),
  fc.tuple(nat, value, value).map<Step>(
    ([i, v, w]) =>
      (b, pick) =>
        b.add("mul", [b.add("mul", [pick(i), constant(b, v)]), constant(b, w)]),
  ),
  nat.map<Step>((i) => (b, pick) => b.add("cast", [pick(i)], { dtype: "f32" })),
  fc.tuple(nat, nat, fc.constantFrom(0, 1)).map<Step>(
    ([i, j, v]) =>
      (b, pick) =>
        b.select(b.constant(v, shape, "bool"), pick(i), pick(j)),
  ),
  fc.tuple(nat, nat).map<Step>(([i, j]) => (b, pick) => {
    const square = b.einsum(
      "ka,bk->ab",
      b.transpose(pick(i), [1, 0]),
      b.transpose(b.transpose(pick(j), [1, 0]), [1, 0]),
    );
    return unit(b, b.einsum("ab,bk->ak", unit(b, square), pick(i)));
  }),
  fc.tuple(nat, nat).map<Step>(([i, j]) => (b, pick) => {
    const other = b.transpose(pick(j), [1, 0]);
    return unit(b, b.einsum("ak,kb->ab", b.einsum("ak,kb->ab", pick(i), other), pick(i)));
  }),
  nat.map<Step>((i) => (b, pick) => b.sum(b.reshape(pick(i), [2, 1, 3]), [1])),
);

/** Tensor-level graphs over f32[2,3], values near 1; with `loss`, the mean of the last value. */
export const tensorGraph: fc.Arbitrary<Graph> = fc.array(steps, { minLength: 1, maxLength: 10 }).map((makes) => {
  const b = new Builder("main");
  const values = [
    b.port("x", "input", "f32", shape),
    b.port("A", "param", "f32", shape),
    b.port("B", "param", "f32", shape),
  ];
  const pick = (i: number): number => values[values.length - 1 - (i % values.length)]!;
  for (const make of makes) values.push(make(b, pick));
  const last = values.at(-1)!;
  return b.finish([
    { name: "y", node: last },
    { name: "loss", node: b.scale(b.sum(last, [0, 1]), 1 / 6) },
  ]);
});
