/** A loop over the records of operators: everything that a record says is its matrix. */
import { describe, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Value } from "../../src/ir/op-record.ts";
import { operatorRecord, operators } from "../../src/ir/operators/index.ts";
import type { OperatorExample, OperatorRecord } from "../../src/ir/operators/record.ts";
import { sizeOf } from "../../src/ir/types.ts";
import { attributeProblems, verify } from "../../src/ir/verify.ts";
import { algebraRules } from "../../src/passes/algebra.ts";
import { associate } from "../../src/passes/associate.ts";
import { LoweredOperators } from "../../src/passes/lower-operators.ts";
import { rewrite } from "../../src/passes/rewrite.ts";
import { evaluateOperators, operatorValues } from "../ir/operator-values.ts";
import { noise } from "../methods/helpers.ts";

type Data = Record<string, ArrayLike<number>>;

/** The example's operator in a builder, operators among its inputs as matrices; numbers of its ports go to `data`. */
function made(b: Builder, { name }: OperatorRecord, example: OperatorExample, data: Data): number {
  const inputs = example.inputs.map((type, i) => {
    const port = `input${i}`;
    const shape = type.kind === "operator" ? [type.out, type.in] : type.shape;
    data[port] = example.data?.[i] ?? noise(sizeOf(shape), i + 1);
    const dtype = type.kind === "operator" ? "f32" : type.dtype;
    const id = b.port(port, dtype === "f32" ? "param" : "input", dtype, shape);
    return type.kind === "operator" ? b.dense(id) : id;
  });
  return b.add(name, inputs, example.attributes ?? {});
}

/** Vectors for an operator: as many as those that it varies over. */
function leadingOf(record: OperatorRecord, { inputs }: OperatorExample): readonly number[] {
  const [entries] = inputs;
  if (record.varies === undefined || entries?.kind !== "tensor" || entries.dtype !== "f32") return [2, 3];
  return record.attributes === undefined ? entries.shape.slice(0, -1) : entries.shape;
}

type Reading = (b: Builder, operator: number, data: Data) => number;

const transposed = (b: Builder, operator: number): number => b.add("op.transpose", [operator]);

function applied(leading: readonly number[]): Reading {
  return (b, operator, data) => {
    const shape = [...leading, b.operator(operator).in];
    data.x = noise(sizeOf(shape), 9);
    return b.apply(operator, b.port("x", "input", "f32", shape));
  };
}

function lookedUp(leading: readonly number[]): Reading {
  return (b, operator, data) => {
    const columns = b.operator(operator).in;
    data.ids = Array.from({ length: sizeOf(leading) }, (_unused, i) => (i * 5 + 1) % columns);
    return b.add("op.lookup", [operator, b.port("ids", "input", "i32", leading)]);
  };
}

/** Behind another operator, the columns of an operator that has single entries are read by those. */
const behind =
  (reading: Reading): Reading =>
  (b, operator, data) => {
    const { out } = b.operator(operator);
    data.before = noise(3 * out, 11);
    return reading(b, b.add("op.compose", [b.dense(b.port("before", "param", "f32", [3, out])), operator]), data);
  };

const readings = (leading: readonly number[]): Readonly<Record<string, Reading>> => ({
  applied: applied(leading),
  "transposed and applied": (b, operator, data) => applied(leading)(b, transposed(b, operator), data),
  "transposed twice": (b, operator, data) => applied(leading)(b, transposed(b, transposed(b, operator)), data),
});

/** Of operators that have a matrix. */
const matrixReadings: Readonly<Record<string, Reading>> = {
  "written out": (b, operator) => b.add("op.to_dense", [operator]),
  "transposed and written out": (b, operator) => b.add("op.to_dense", [transposed(b, operator)]),
  columns: lookedUp([2, 3]),
  "norms of rows": (b, operator) => b.add("op.row_norm", [operator]),
  "norms of rows of a product": behind((b, operator) => b.add("op.row_norm", [operator])),
};

const largestGap = (a: Value, b: Value): number => Math.max(...a.data.map((x, i) => Math.abs(x - b.data[i]!)));

/** The largest gap between the numbers of a lowered graph and those of the matrices. */
function gap(graph: Graph, data: Data, fold: boolean, train: boolean): number {
  const lowered = associate(graph, { train, fold }).graph;
  verify(lowered, "tensor");
  const [got, want] = [evaluate(lowered, data).y!, evaluateOperators(graph, data).y!];
  expect(got.shape).toEqual(want.shape);
  return largestGap(got, want);
}

const examples = operators.flatMap((record) =>
  record.examples.map((example, i) => ({ title: `${record.name} ${i}`, record, example })),
);

describe.each(examples)("$title", ({ record, example }) => {
  const b = new Builder("example");
  const data: Data = {};
  const operator = made(b, record, example, data);
  const matrix = operatorValues(b.finish([]), data)(operator);
  const entries = leadingOf(record, example);
  const isVaried = record.varies?.(b.node(operator)) ?? false;

  it("has a matrix of its size and sound attributes", () => {
    const { out, in: width } = b.operator(operator);
    expect(matrix.shape).toEqual([out, width]);
    expect(matrix.data).toHaveLength(out * width);
    expect(matrix.data.every(Number.isFinite)).toBe(true);
    expect(attributeProblems(record, example.attributes ?? {})).toEqual([]);
    for (const attribute of Object.keys(record.attributes ?? {})) expect(record.doc).toContain(attribute);
  });

  const all = {
    ...readings(entries),
    ...(isVaried ? {} : matrixReadings),
    ...(isVaried && record.columnEntry === undefined ? {} : { "looked up": behind(lookedUp(entries)) }),
  };

  it("has costs, and none for a matrix that it has not", () => {
    const builder = new Builder("costs");
    const id = made(builder, record, example, {});
    const trained = (): boolean => true;
    const [forward, training] = [false, true].map(
      (train) => new LoweredOperators(builder, { train, trained, fold: true, note: () => undefined }),
    );
    expect(forward!.flops(id, 6)).toBeGreaterThanOrEqual(0);
    const times = example.inputs.length > 0 ? 3 : 2;
    expect(training!.flops(id, 6)).toBe(times * forward!.flops(id, 6));
    expect(Number.isFinite(forward!.denseFlops(id))).toBe(!isVaried);
  });

  it.each(Object.entries(all))("%s", (_name, reading) => {
    const builder = new Builder("reading");
    const numbers: Data = {};
    const y = reading(builder, made(builder, record, example, numbers), numbers);
    const graph = builder.finish([{ name: "y", node: y }]);
    verify(graph, "operator");
    for (const [fold, train] of [
      [true, true],
      [true, false],
      [false, true],
    ] as const) {
      expect(gap(graph, numbers, fold, train)).toBeLessThan(1e-12);
      expect(gap(rewrite(graph, algebraRules).graph, numbers, fold, train)).toBeLessThan(1e-12);
    }
  });

  it("is transposed by its rule to what has the transposed matrix, or is left alone", () => {
    const builder = new Builder("transposed");
    const numbers: Data = {};
    const inner = made(builder, record, example, numbers);
    const turned = (id: number): number => transposed(builder, id);
    const [plain, byRule] = [turned(inner), record.transpose?.rewrite(builder, inner, turned)];
    const value = operatorValues(builder.finish([]), numbers);
    expect(value(byRule ?? plain).shape).toEqual(value(plain).shape);
    expect(largestGap(value(byRule ?? plain), value(plain))).toBeLessThan(1e-12);
    expect(record.transpose === undefined && record.applyTransposed === undefined).toBe(false);
  });
});

describe("an operator that varies", () => {
  const dropout = (b: Builder): number => {
    const scalars = ["seed", "step", "offset"].map((name) => b.port(name, "input", "u32", []));
    return b.add("op.dropout", scalars, { size: 4, p: 0.5, site: 0, tensor: 1 });
  };
  const gates: Readonly<Record<string, (b: Builder) => number>> = {
    dropout,
    gate: (b) => b.add("op.gate", [b.port("g", "input", "f32", [2, 4])]),
    scalar_gate: (b) => b.add("op.scalar_gate", [b.port("g", "input", "f32", [2])], { size: 4 }),
  };

  it.each(Object.entries(gates))("(%s) has no matrix, and says so", (_name, make) => {
    const b = new Builder("varied");
    const graph = b.finish([{ name: "y", node: b.add("op.to_dense", [make(b)]) }]);
    expect(() => associate(graph, { train: false })).toThrow(/varies and has no matrix/);
  });

  it("is known by its record alone", () => {
    const varying = operators.filter(({ varies }) => varies !== undefined).map(({ name }) => name);
    expect(varying.sort()).toEqual(["op.dropout", "op.gate", "op.scalar_gate"]);
    expect(() => operatorRecord("add")).toThrow(/no operator/);
  });
});

it("notices a record whose parts are not one operator", () => {
  const record = operatorRecord("op.turn");
  const wrong = { ...record, matrix: operatorRecord("op.identity").matrix };
  const b = new Builder("wrong");
  const id = made(b, wrong, { inputs: [], attributes: { size: 6, group: 2 } }, {});
  const graph = b.finish([{ name: "y", node: b.add("op.to_dense", [id]) }]);
  const got = evaluate(associate(graph, { train: false }).graph, {}).y!.data;
  expect([...got]).not.toEqual([...wrong.matrix(b.node(id), [], 0).data]);
});

describe("parts of an operator's rows, by number", () => {
  const [parts, out, width, rank] = [3, 4, 5, 2];
  const port = (b: Builder, data: Data, name: string, ...shape: number[]): number => {
    data[name] = noise(sizeOf(shape), name.length);
    return b.port(name, "param", "f32", shape);
  };
  const dense = (b: Builder, data: Data, name: string, ...shape: number[]): number =>
    b.dense(port(b, data, name, ...shape));
  const low = (b: Builder, data: Data): number =>
    b.add("op.compose", [
      b.add("op.blockdiag", [port(b, data, "blocks", parts, out, rank)]),
      dense(b, data, "down", parts * rank, width),
    ]);
  const whole = (b: Builder, data: Data): number => dense(b, data, "w", parts * out, width);
  const cases: readonly (readonly [string, (b: Builder, data: Data) => number])[] = [
    ["a matrix", whole],
    ["a sum with blocks behind a matrix", (b, data) => b.add("op.add", [whole(b, data), low(b, data)])],
    ["a multiple of those", (b, data) => b.add("op.scale", [low(b, data), b.constant(0.5)])],
    [
      "a product of matrices",
      (b, data) => b.add("op.compose", [dense(b, data, "up", parts * out, rank), dense(b, data, "downs", rank, width)]),
    ],
  ];

  it.each(cases)("of %s", (_name, make) => {
    const b = new Builder("parts");
    const data: Data = { x: noise(4 * 2 * width, 5), numbers: [2, 0, 2, 1] };
    const x = b.port("x", "input", "f32", [4, 2, width]);
    const numbers = b.port("numbers", "input", "i32", [4]);
    const y = b.add("op.apply_part", [make(b, data), x, numbers], { parts });
    expect(gap(b.finish([{ name: "y", node: y }]), data, true, true)).toBeLessThan(1e-12);
  });
});
