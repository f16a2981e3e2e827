/** A toy site for the methods, and plain matrix code to write formulas a second time. */
import { Builder } from "../../src/ir/builder.ts";
import { DiagnosticSink } from "../../src/ir/diagnostics.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { FieldValue } from "../../src/methods/fields.ts";
import { type Elaboration, elaborateModel, evaluation, type Method, type Site } from "../../src/methods/index.ts";
import { algebraRules } from "../../src/passes/algebra.ts";
import { associate } from "../../src/passes/associate.ts";
import { rewrite } from "../../src/passes/rewrite.ts";
import { operatorValues } from "../ir/operator-values.ts";

export type Matrix = number[][];

/** Numbers in [-1, 1), the same at every run. */
export function noise(count: number, seed = 1): Float64Array {
  let state = seed * 2654435761 + 1;
  return Float64Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return ((state >>> 8) / 2 ** 24) * 2 - 1;
  });
}

export const make = (rows: number, columns: number, entry: (i: number, j: number) => number): Matrix =>
  Array.from({ length: rows }, (_r, i) => Array.from({ length: columns }, (_c, j) => entry(i, j)));
export const matrixOf = (data: ArrayLike<number>, columns: number, from = 0, rows = data.length / columns): Matrix =>
  make(rows, columns, (i, j) => data[from + i * columns + j]!);
export const eye = (n: number): Matrix => make(n, n, (i, j) => (i === j ? 1 : 0));
export const diagonal = (v: ArrayLike<number>): Matrix => make(v.length, v.length, (i, j) => (i === j ? v[i]! : 0));
export const T = (a: Matrix): Matrix => make(a[0]!.length, a.length, (i, j) => a[j]![i]!);
export const times = (...all: Matrix[]): Matrix =>
  all.reduce((a, b) => make(a.length, b[0]!.length, (i, j) => a[i]!.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)));
export const plus = (...all: Matrix[]): Matrix =>
  all.reduce((a, b) => make(a.length, a[0]!.length, (i, j) => a[i]![j]! + b[i]![j]!));
export const scale = (s: number, a: Matrix): Matrix => a.map((row) => row.map((x) => s * x));
export const rowNorms = (a: Matrix): number[] => a.map((row) => Math.hypot(...row));

/** Solves X A = B for X by Gauss-Jordan on the transposed system. */
export function over(b: Matrix, a: Matrix): Matrix {
  const n = a.length;
  const work = T(a).map((row, i) => [...row, ...T(b)[i]!]);
  for (let c = 0; c < n; c++) {
    const pivot = work
      .slice(c)
      .reduce((best, row, i) => (Math.abs(row[c]!) > Math.abs(work[best]![c]!) ? c + i : best), c);
    [work[c], work[pivot]] = [work[pivot]!, work[c]!];
    const top = work[c]!.map((x) => x / work[c]![c]!);
    work[c] = top;
    work.forEach((row, r) => {
      if (r !== c) work[r] = row.map((x, j) => x - row[c]! * top[j]!);
    });
  }
  return T(work.map((row) => row.slice(n)));
}

export const blockDiagonal = (blocks: Matrix[]): Matrix => {
  const k = blocks[0]!.length;
  return make(k * blocks.length, k * blocks.length, (i, j) =>
    Math.floor(i / k) === Math.floor(j / k) ? blocks[Math.floor(i / k)]![i % k]![j % k]! : 0,
  );
};

/** Largest difference of two matrices, relative to the largest entry. */
export function difference(a: Matrix, b: Matrix): number {
  const largest = Math.max(...b.flat().map(Math.abs), 1e-30);
  return Math.max(...a.flat().map((x, i) => Math.abs(x - b.flat()[i]!))) / largest;
}

export interface ToyOptions {
  readonly in?: number;
  readonly out?: number;
  readonly train?: boolean;
  readonly hasBias?: boolean;
  readonly loaded?: boolean;
  readonly path?: string;
  readonly strict?: boolean;
  readonly present?: readonly string[];
  readonly others?: readonly Partial<Site>[];
}

/** Every field of the method at its default, with some changed. */
export function fieldsOf(method: Method, changed: Readonly<Record<string, FieldValue>>): Record<string, FieldValue> {
  return { ...Object.fromEntries(method.fields.map((f) => [f.name, f.default])), peft_version: "0.21.2", ...changed };
}

export interface Toy {
  readonly elaboration: Elaboration;
  readonly sink: DiagnosticSink;
  readonly site: Site;
  readonly graph: Graph;
  readonly ports: Record<string, ArrayLike<number>>;
  readonly W: Matrix;
  readonly b: number[];
  /** Values of a tensor of the site by the end of its key. */
  values(name: string): Float64Array;
  weight(): Matrix;
  bias(): number[] | undefined;
}

/** One site of 12 inputs and 8 outputs whose tensors hold noise, with W' and b' built. */
export function toy(method: Method, changed: Readonly<Record<string, FieldValue>> = {}, options: ToyOptions = {}): Toy {
  const fields = fieldsOf(method, changed);
  const site: Site = {
    path: options.path ?? "model.layers.0.self_attn.q_proj",
    kind: "linear",
    in: options.in ?? 12,
    out: options.out ?? 8,
    fields,
    index: 0,
    layout: "linear",
    ...(options.hasBias === false ? {} : { bias: "b" }),
  };
  const others = (options.others ?? []).map((other, i) => ({ ...site, path: `other.${i}`, ...other, index: i + 1 }));
  const sink = new DiagnosticSink(options.strict ?? false);
  const elaboration = elaborateModel(method, {
    sites: [site, ...others],
    situation: {
      ...(options.train === true ? { purpose: "train", sampling: true } : evaluation),
      ...(options.loaded === undefined ? {} : { loaded: options.loaded }),
    },
    fields,
    sink,
    ...(options.present === undefined ? {} : { present: new Set(options.present) }),
  });
  const builder = new Builder("toy");
  const W = noise(site.out * site.in, 7);
  const b = noise(site.out, 8);
  const operator = builder.dense(builder.port("W", "weight", "f32", [site.out, site.in]));
  const bias = site.bias !== undefined ? { bias: builder.port("b", "weight", "f32", [site.out]) } : {};
  const scalars = {
    seed: builder.port("seed", "input", "u32", []),
    step: builder.port("step", "input", "u32", []),
    sampleOffset: builder.port("sample_offset", "input", "u32", []),
    pass: builder.port("pass", "input", "u32", []),
    training: builder.port("training", "input", "f32", []),
  };
  const result = elaboration.site(0, builder, { weight: operator, base: operator, ...bias, scalars });
  const outputs = [
    { name: "operator", node: result.weight },
    ...(result.bias === undefined ? [] : [{ name: "bias", node: result.bias }]),
  ];
  const graph = builder.finish(outputs);
  const ports: Record<string, ArrayLike<number>> = {
    W,
    b,
    seed: [3],
    step: [5],
    sample_offset: [0],
    pass: [5],
    training: [1],
    ...Object.fromEntries(elaboration.notes.data),
  };
  elaboration.tensors.forEach((tensor, i) => {
    const count = tensor.shape.reduce((p, n) => p * n, 1);
    ports[tensor.key] ??= noise(count, 20 + i).map((x) => 0.5 * x);
  });
  const value = (id: number) => operatorValues(graph, ports)(id);
  return {
    elaboration,
    sink,
    site,
    graph,
    ports,
    W: matrixOf(W, site.in),
    b: [...b],
    values: (name) => Float64Array.from(ports[elaboration.tensors.find((t) => t.key.endsWith(name))!.key]!),
    weight: () => matrixOf(value(result.weight).data, site.in),
    bias: () => (result.bias === undefined ? undefined : [...value(result.bias).data]),
  };
}

/** The operator's matrix as the passes work it out. */
export function loweredWeight({ graph, ports, site }: Toy): Matrix {
  const builder = new Builder("lowered");
  const ids: number[] = [];
  for (const node of graph.nodes)
    ids.push(
      builder.add(
        node.op,
        node.inputs.map((i) => ids[i]!),
        node.attributes,
      ),
    );
  const dense = builder.add("op.to_dense", [ids[graph.outputs[0]!.node]!]);
  const simplified = rewrite(builder.finish([{ name: "W", node: dense }]), algebraRules).graph;
  return matrixOf(evaluate(associate(simplified, { train: false }).graph, ports).W!.data, site.in);
}
