/** Evaluates operator-level graphs by plain loops over matrices: shares nothing with the lowering that passes use. */
import { type Graph, type Node, portName } from "../../src/ir/graph.ts";
import type { Value } from "../../src/ir/op-record.ts";
import { opRecord } from "../../src/ir/registry.ts";
import { sizeOf } from "../../src/ir/types.ts";

type Matrix = number[][];
type Numbers = ArrayLike<number>;

const matrix = (rows: number, columns: number, entry: (i: number, j: number) => number): Matrix =>
  Array.from({ length: rows }, (_row, i) => Array.from({ length: columns }, (_column, j) => entry(i, j)));

function product(a: Matrix, b: Matrix): Matrix {
  return matrix(a.length, b[0]!.length, (i, j) => a[i]!.reduce((sum, x, k) => sum + x * b[k]![j]!, 0));
}

/** Where element `position` of the shuffled vector comes from. */
function shuffleSource(position: number, shape: readonly number[], permutation: readonly number[]): number {
  const index: number[] = [];
  let rest = position;
  for (let at = permutation.length - 1; at >= 0; at--) {
    const extent = shape[permutation[at]!]!;
    index[permutation[at]!] = rest % extent;
    rest = Math.floor(rest / extent);
  }
  return shape.reduce((sum, extent, axis) => sum * extent + index[axis]!, 0);
}

/** The matrix that an operator is for one sample of the batch. */
function operatorMatrix(node: Node, operators: readonly Matrix[], tensors: readonly Value[], sample: number): Matrix {
  const data: Numbers = tensors[0]?.data ?? [];
  const shape = tensors[0]?.shape ?? [];
  const { attributes } = node;
  const size = attributes.size as number;
  switch (node.op) {
    case "op.dense":
      return matrix(shape[0]!, shape[1]!, (i, j) => data[i * shape[1]! + j]!);
    case "op.diag":
      return matrix(shape[0]!, shape[0]!, (i, j) => (i === j ? data[i]! : 0));
    case "op.blockdiag": {
      const [groups, o, n] = shape as [number, number, number];
      const inside = (i: number, j: number): boolean => Math.floor(i / o) === Math.floor(j / n);
      return matrix(groups * o, groups * n, (i, j) => (inside(i, j) ? data[i * n + (j % n)]! : 0));
    }
    case "op.shuffle": {
      const [extents, permutation] = [attributes.shape as number[], attributes.permutation as number[]];
      const total = sizeOf(extents);
      return matrix(total, total, (i, j) => (shuffleSource(i, extents, permutation) === j ? 1 : 0));
    }
    case "op.dropout":
      if (attributes.p !== 0) throw new Error("only dropout that drops nothing has a matrix");
      return matrix(size, size, (i, j) => (i === j ? 1 : 0));
    case "op.scalar_gate":
      return matrix(size, size, (i, j) => (i === j ? data[sample]! : 0));
    case "op.identity":
      return matrix(size, size, (i, j) => (i === j ? 1 : 0));
    case "op.compose":
      return operators.reduce(product);
    case "op.add":
      return operators.reduce((a, b) => matrix(a.length, a[0]!.length, (i, j) => a[i]![j]! + b[i]![j]!));
    case "op.scale":
      return operators[0]!.map((row) => row.map((x) => x * data[0]!));
    case "op.hadamard":
      return operators[0]!.map((row, i) => row.map((x, j) => x * operators[1]![i]![j]!));
    case "op.kron":
      return operators[0]!.flatMap((outer) =>
        operators[1]!.map((inner) => outer.flatMap((x) => inner.map((y) => x * y))),
      );
    case "op.circulant": {
      const [rows, columns, b] = shape as [number, number, number];
      return matrix(rows * b, columns * b, (i, j) => {
        const shift = (j % b) - (i % b);
        return data[(Math.floor(i / b) * columns + Math.floor(j / b)) * b + (shift < 0 ? shift + b : shift)]!;
      });
    }
    case "op.fold":
      return matrix(size, attributes.in as number, (i, j) => (j % size === i ? 1 : 0));
    case "op.turn": {
      const group = attributes.group as number;
      const partner = (i: number): number => (i % group < group / 2 ? i + group / 2 : i - group / 2);
      return matrix(size, size, (i, j) => (partner(i) === j ? (j > i ? -1 : 1) : 0));
    }
    case "op.transpose":
      return matrix(operators[0]![0]!.length, operators[0]!.length, (i, j) => operators[0]![j]![i]!);
    default:
      throw new Error(`no matrix for ${node.op}`);
  }
}

/** Row by row of x, whose rows are samples. */
function applied(operators: readonly Matrix[], x: Value): Float64Array {
  const width = operators[0]![0]!.length;
  const rows = matrix(x.data.length / width, width, (i, j) => x.data[i * width + j]!);
  return Float64Array.from(
    rows.flatMap((row, i) => operators[i % samples]!.map((w) => w.reduce((sum, value, k) => sum + value * row[k]!, 0))),
  );
}

/** Samples of the batches that gates are for. */
const samples = 2;

/** The outputs by name, for data by port name. */
export function evaluateOperators(graph: Graph, data: Readonly<Record<string, Numbers>>): Record<string, Value> {
  // For every sample one: gates differ.
  const matrices = new Map<number, readonly Matrix[]>();
  const values = new Map<number, Value>();
  graph.nodes.forEach((node, id) => {
    const { type } = node;
    const own = node.inputs.flatMap((i) => (matrices.has(i) ? [matrices.get(i)!] : []));
    const tensors = node.inputs.flatMap((i) => values.get(i) ?? []);
    if (type.kind === "operator")
      matrices.set(
        id,
        Array.from({ length: samples }, (_unused, sample) =>
          operatorMatrix(
            node,
            own.map((ofSamples) => ofSamples[sample]!),
            tensors,
            sample,
          ),
        ),
      );
    else if (node.op === "port") values.set(id, { shape: type.shape, data: Float64Array.from(data[portName(node)]!) });
    else if (node.op === "op.apply") values.set(id, { shape: type.shape, data: applied(own[0]!, tensors[0]!) });
    else if (node.op === "op.to_dense")
      values.set(id, { shape: type.shape, data: Float64Array.from(own[0]![0]!.flat()) });
    else if (node.op === "op.row_norm")
      values.set(id, { shape: type.shape, data: Float64Array.from(own[0]![0]!.map((row) => Math.hypot(...row))) });
    else values.set(id, opRecord(node.op).eval!(tensors, node.attributes, type));
  });
  return Object.fromEntries(graph.outputs.map(({ name, node }) => [name, values.get(node)!]));
}
