/** For every rule random graphs that hold its pattern, so that the rule fires on each of them with no other rule beside it. */
import fc from "fast-check";
import { Builder } from "../../src/ir/builder.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { gate, gatedGraphOf, graphOf, type Make, operator, power, type Step, steps } from "./random-graphs.ts";

type Patterns = Readonly<Record<string, fc.Arbitrary<Graph>>>;

const size = 6;
const param = (b: Builder, shape: readonly number[]): number => b.port(`q${b.size}`, "param", "f32", shape);

/** A pattern over random operators: of one, of two, or of none. */
const around = (pattern: (b: Builder, made: number) => number): fc.Arbitrary<Make> =>
  operator.map((make) => (b: Builder) => pattern(b, make(b)));
const between = (pattern: (b: Builder, first: number, second: number) => number): fc.Arbitrary<Make> =>
  fc.tuple(operator, operator).map(
    ([first, second]) =>
      (b: Builder) =>
        pattern(b, first(b), second(b)),
  );
const one = (...patterns: ((b: Builder) => number)[]): fc.Arbitrary<Make> => fc.constantFrom(...patterns);

const add =
  (op: string) =>
  (b: Builder, ...inputs: number[]): number =>
    b.add(op, inputs);
const [transpose, compose, sum] = [add("op.transpose"), add("op.compose"), add("op.add")];
const [scale, hadamard, kron] = [add("op.scale"), add("op.hadamard"), add("op.kron")];
const factor = (b: Builder): number => param(b, []);
const identity = (b: Builder): number => b.add("op.identity", [], { size });
const diagonal = (b: Builder): number => b.add("op.diag", [param(b, [size])]);
const blocks = (b: Builder, groups: number): number =>
  b.add("op.blockdiag", [param(b, [groups, size / groups, size / groups])]);
const matrix = (b: Builder, n = size): number => b.dense(param(b, [n, n]));
const shuffle = (b: Builder, shape: readonly number[], permutation: readonly number[]): number =>
  b.add("op.shuffle", [], { shape, permutation });
const dropout = (b: Builder): number => {
  const scalars = ["seed", "step", "sample_offset"].map((name) => b.port(name, "input", "u32", []));
  return b.add("op.dropout", scalars, { size, p: 0, site: 0, tensor: 1 });
};

/** Small operators, whose Kronecker product is over vectors of 6. */
const kronecker = (b: Builder, change: (made: number) => number): number => kron(b, change(matrix(b, 2)), matrix(b, 3));

const operatorPatterns: Readonly<Record<string, fc.Arbitrary<Make>>> = {
  "transpose-of-transpose": around((b, a) => transpose(b, transpose(b, a))),
  "transpose-of-product": between((b, a, c) => transpose(b, compose(b, a, c))),
  "transpose-of-sum": between((b, a, c) => transpose(b, sum(b, a, c))),
  "transpose-of-scale": around((b, a) => transpose(b, scale(b, a, factor(b)))),
  "transpose-of-pair": fc.oneof(
    between((b, a, c) => transpose(b, hadamard(b, a, c))),
    one((b) =>
      transpose(
        b,
        kronecker(b, (a) => a),
      ),
    ),
  ),
  "transpose-of-symmetric": one(...[diagonal, identity, dropout].map((leaf) => (b: Builder) => transpose(b, leaf(b)))),
  "transpose-of-blocks": one(...[1, 2, 3, 6].map((groups) => (b: Builder) => transpose(b, blocks(b, groups)))),
  "transpose-of-shuffle": one((b) => transpose(b, shuffle(b, [2, 3], [1, 0]))),
  "transpose-of-dense": one((b) => transpose(b, matrix(b))),
  "identity-shuffle": one(
    (b) => shuffle(b, [2, 3], [0, 1]),
    (b) => shuffle(b, [1, 6], [1, 0]),
    (b) => shuffle(b, [2, 1, 3], [1, 0, 2]),
  ),
  "no-dropout": one(dropout),
  "repeated-operator": one(power),
  "flatten-product": between((b, a, c) => compose(b, a, compose(b, c, a))),
  "identity-in-product": fc.oneof(
    around((b, a) => compose(b, a, identity(b))),
    around((b, a) => compose(b, identity(b), a)),
    one((b) => compose(b, identity(b), identity(b))),
  ),
  "single-factor": fc.oneof(around(compose), around(sum)),
  "diagonals-merge": around((b, a) => compose(b, a, diagonal(b), diagonal(b))),
  "blocks-merge": fc.tuple(operator, fc.constantFrom(1, 2, 3, 6)).map<Make>(
    ([make, groups]) =>
      (b) =>
        compose(b, blocks(b, groups), blocks(b, groups), make(b)),
  ),
  "shuffles-cancel": around((b, a) => compose(b, a, shuffle(b, [2, 3], [1, 0]), shuffle(b, [3, 2], [1, 0]))),
  "scale-in-product": between((b, a, c) => compose(b, a, scale(b, c, factor(b)))),
  "scale-in-pair": fc.oneof(
    between((b, a, c) => hadamard(b, a, scale(b, c, factor(b)))),
    one((b) => kronecker(b, (a) => scale(b, a, factor(b)))),
  ),
  "scale-by-one": around((b, a) => scale(b, a, b.constant(1))),
  "scale-of-scale": fc.oneof(
    around((b, a) => scale(b, scale(b, a, b.constant(-0.5)), b.constant(3))),
    around((b, a) => scale(b, scale(b, a, factor(b)), b.constant(3))),
  ),
  "scale-of-sum": between((b, a, c) => scale(b, sum(b, a, c), factor(b))),
  "flatten-sum": between((b, a, c) => sum(b, a, sum(b, c, a))),
  "equal-terms": between((b, a, c) => sum(b, a, scale(b, a, b.constant(0.5)), scale(b, c, b.constant(2)))),
};

/** Patterns that end in a tensor. */
const appliedPatterns: Patterns = {
  "apply-identity": fc.constant(graphOf(identity)),
  "dense-of-dense": fc.constant(graphOf(matrix)),
  "narrow-gate": operator.map((make) => gatedGraphOf((b) => compose(b, make(b), gate(b)))),
};

/** An operator with a pattern in it, somewhere in a larger one. */
const inContext = (pattern: fc.Arbitrary<Make>): fc.Arbitrary<Graph> =>
  fc
    .tuple(
      pattern,
      operator,
      fc.constantFrom<(b: Builder, a: number, other: number) => number>(
        (_b, a) => a,
        (b, a, other) => compose(b, other, a),
        (b, a, other) => sum(b, a, other),
        (b, a) => transpose(b, a),
        (b, a) => scale(b, a, factor(b)),
        (b, a, other) => hadamard(b, other, a),
      ),
    )
    .map(([make, other, context]) => graphOf((b) => context(b, make(b), other(b))));

export const algebraPatterns: Patterns = {
  ...Object.fromEntries(Object.entries(operatorPatterns).map(([name, pattern]) => [name, inContext(pattern)])),
  ...appliedPatterns,
};

const shape = [2, 3];
const constant = (b: Builder, value: number): number => b.constant(value, shape);
const padded = (b: Builder, x: number, low: number, high: number): number =>
  b.add("pad", [x], { low: [0, low], high: [0, high] });
const binary =
  (op: string) =>
  (b: Builder, x: number, y: number): number =>
    b.add(op, [x, y]);
const [plus, minus, times, over] = [binary("add"), binary("sub"), binary("mul"), binary("div")];
const reshaped = (b: Builder, x: number, to: readonly number[]): number => b.add("reshape", [x], { shape: [...to] });
const moved = (b: Builder, x: number, permutation: readonly number[]): number =>
  b.add("transpose", [x], { permutation: [...permutation] });

type TensorPattern = (b: Builder, x: number, y: number, value: number) => number;

const tensorPatterns: Readonly<Record<string, readonly TensorPattern[]>> = {
  "move-constant": [
    (b, x, _y, v) => plus(b, x, reshaped(b, b.constant(v, [6]), shape)),
    (b, x, _y, v) => plus(b, x, moved(b, b.constant(v, [3, 2]), [1, 0])),
    (b, x, _y, v) => plus(b, x, b.add("broadcast", [b.constant(v, [3])], { shape, axes: [1] })),
    (b, x, _y, v) => plus(b, x, b.add("slice", [b.constant(v, [4, 3])], { start: [1, 0], limit: [3, 3] })),
    (b, x, _y, v) => plus(b, x, b.add("concat", [b.constant(v, [2, 1]), b.constant(v, [2, 2])], { axis: 1 })),
  ],
  "reshape-of-reshape": [
    (b, x) => reshaped(b, reshaped(b, x, [3, 2]), shape),
    (b, x) => reshaped(b, x, shape),
    (b, x) => reshaped(b, b.neg(reshaped(b, reshaped(b, x, [3, 2]), [6])), shape),
  ],
  "transpose-of-transpose": [
    (b, x) => moved(b, moved(b, x, [1, 0]), [1, 0]),
    (b, x) => moved(b, x, [0, 1]),
    (b, x) => reshaped(b, moved(b, moved(b, reshaped(b, x, [1, 2, 3]), [1, 0, 2]), [2, 0, 1]), shape),
  ],
  "transpose-as-reshape": [(b, x) => reshaped(b, moved(b, reshaped(b, x, [2, 1, 3]), [1, 0, 2]), shape)],
  "broadcast-of-broadcast": [
    (b, x) => b.add("broadcast", [x], { shape, axes: [0, 1] }),
    (b, x) => {
      const rows = b.add("broadcast", [b.add("sum", [x], { axes: [0] })], { shape, axes: [1] });
      return b.add("sum", [b.add("broadcast", [rows], { shape: [4, 2, 3], axes: [1, 2] })], { axes: [0] });
    },
  ],
  "whole-slice": [(b, x) => b.add("slice", [x], { start: [0, 0], limit: shape })],
  "slice-of-pad": [
    (b, x) => b.add("slice", [padded(b, x, 2, 1)], { start: [0, 2], limit: [2, 5] }),
    (b, x) => b.add("slice", [padded(b, x, 0, 3)], { start: [0, 0], limit: [2, 3] }),
  ],
  "disjoint-pads": [1, 2].flatMap((at): TensorPattern[] => {
    const parts = (b: Builder, x: number, y: number): [number, number] => [
      padded(b, b.slice(x, [0, 0], [2, at]), 0, 3 - at),
      padded(b, b.slice(y, [0, at], [2, 3]), at, 0),
    ];
    return [(b, x, y) => plus(b, ...parts(b, x, y)), (b, x, y) => plus(b, parts(b, x, y)[1], parts(b, x, y)[0])];
  }),
  "fold-constants": [
    (b, x, _y, v) => plus(b, x, times(b, constant(b, v), constant(b, 3))),
    (b, x, _y, v) => times(b, x, b.add("tanh", [constant(b, v)])),
    (b, x, y, v) => b.select(b.add("lt", [constant(b, v), constant(b, 0)]), x, y),
  ],
  "add-zero": [(b, x) => plus(b, x, constant(b, 0)), (b, x) => plus(b, constant(b, 0), x)],
  "subtract-zero": [(b, x) => minus(b, x, constant(b, 0))],
  "subtract-from-zero": [(b, x) => minus(b, constant(b, 0), x)],
  "multiply-one": [(b, x) => times(b, x, constant(b, 1)), (b, x) => times(b, constant(b, 1), x)],
  "multiply-zero": [(b, x, y) => plus(b, y, times(b, x, constant(b, 0))), (b, x) => times(b, constant(b, 0), x)],
  "multiply-minus-one": [(b, x) => times(b, x, constant(b, -1))],
  "divide-by-one": [(b, x) => over(b, x, constant(b, 1))],
  "multiply-constants": [(b, x, _y, v) => times(b, times(b, x, constant(b, v)), constant(b, -0.5))],
  "constant-to-the-right": [(b, x, _y, v) => times(b, constant(b, v), x), (b, x, _y, v) => plus(b, constant(b, v), x)],
  "negate-negation": [(b, x) => b.add("neg", [b.add("neg", [x])])],
  "add-negation": [(b, x, y) => plus(b, x, b.add("neg", [y])), (b, x, y) => minus(b, x, b.add("neg", [y]))],
  expand: [(b, x) => b.add("softmax", [x])],
  "stop-gradient": [(b, x) => b.add("stop_gradient", [x])],
  "idle-cast": [(b, x) => b.add("cast", [x], { dtype: "f32" })],
  "constant-select": [
    (b, x, y, v) => b.add("select", [b.constant(v > 0 ? 1 : 0, shape, "bool"), x, y]),
    (b, x, y) => b.add("select", [b.add("lt", [x, y]), y, y]),
  ],
  "transpose-into-einsum": [
    (b, x, y) => b.einsum("ab,bk->ak", b.einsum("ak,kb->ab", x, moved(b, y, [1, 0])), y),
    (b, x, y) => b.einsum("ab,bk->ak", b.einsum("ka,kb->ab", moved(b, x, [1, 0]), moved(b, y, [1, 0])), y),
  ],
  "einsum-of-zeros": [(b, x) => plus(b, x, b.einsum("ak,kb->ab", x, b.constant(0, [3, 3])))],
  "sum-of-constant": [
    (b, x, _y, v) => plus(b, x, b.broadcast(b.add("sum", [constant(b, v)], { axes: [0] }), shape, [1])),
    (b, x, _y, v) => plus(b, x, b.broadcast(b.add("sum", [constant(b, v)], { axes: [0, 1] }), shape, [])),
  ],
  "sum-of-one": [(b, x) => b.add("sum", [reshaped(b, x, [2, 1, 3])], { axes: [1] })],
};

/** A pattern behind some random steps. */
const behindSteps = (patterns: readonly TensorPattern[]): fc.Arbitrary<Graph> =>
  fc
    .tuple(
      fc.array(steps, { maxLength: 4 }),
      fc.constantFrom(...patterns),
      fc.constantFrom(2, -1.5, 0.25),
      fc.boolean(),
    )
    .map(([makes, pattern, value, last]) => {
      const b = new Builder("main");
      const values = [b.port("x", "input", "f32", shape), b.port("A", "param", "f32", shape)];
      const pick: Parameters<Step>[1] = (i) => values[values.length - 1 - (i % values.length)]!;
      for (const make of makes) values.push(make(b, pick));
      // A constant would be another pattern; the sine of a value is none.
      const [x, y] = [b.add("sin", [plus(b, values.at(-1)!, values[0]!)]), values[1]!];
      const made = last ? pattern(b, x, y, value) : pattern(b, y, x, value);
      return b.finish([{ name: "y", node: made }]);
    });

export const simplifyPatterns: Patterns = Object.fromEntries(
  Object.entries(tensorPatterns).map(([name, patterns]) => [name, behindSteps(patterns)]),
);
