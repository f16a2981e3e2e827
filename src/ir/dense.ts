/** The oracle of the operator level: the matrix of an operator, node by node in f64. Slow and plain on purpose; nothing is shared with the passes. */
import type { PortData } from "./evaluate.ts";
import { type Graph, type Node, portName } from "./graph.ts";
import type { Value } from "./op-record.ts";
import { opRecord } from "./registry.ts";
import { type OperatorType, sizeOf, type TensorType } from "./types.ts";

function matrix(rows: number, columns: number, entry: (i: number, j: number) => number): Value {
  const data = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) data[i * columns + j] = entry(i, j);
  return { shape: [rows, columns], data };
}

const at = (m: Value, i: number, j: number): number => m.data[i * m.shape[1]! + j]!;

function product(a: Value, b: Value): Value {
  return matrix(a.shape[0]!, b.shape[1]!, (i, j) => {
    let sum = 0;
    for (let k = 0; k < a.shape[1]!; k++) sum += at(a, i, k) * at(b, k, j);
    return sum;
  });
}

/** Where every output of a shuffle comes from: the places of an index vector that is reshaped, transposed and flattened. */
function shuffledPlaces(node: Node): Float64Array {
  const shape = node.attributes.shape as readonly number[];
  const type = {
    kind: "tensor",
    dtype: "f32",
    shape: (node.attributes.permutation as number[]).map((a) => shape[a]!),
  } as const;
  const places = { shape, data: Float64Array.from({ length: sizeOf(shape) }, (_unused, i) => i) };
  return opRecord("transpose").eval!([places], { permutation: node.attributes.permutation! }, type).data;
}

/** -1 where the first of a pair takes the second, 1 where the second takes the first. */
function turnEntry(i: number, j: number, group: number): number {
  const half = group / 2;
  if (i % group < half) return j === i + half ? -1 : 0;
  return j === i - half ? 1 : 0;
}

function operatorMatrix(node: Node, inputs: readonly Value[]): Value {
  const { out, in: columns } = node.type as OperatorType;
  const [first, second] = inputs as [Value, Value];
  switch (node.op) {
    case "op.dense":
      return first;
    case "op.diag":
      return matrix(out, columns, (i, j) => (i === j ? first.data[i]! : 0));
    case "op.blockdiag": {
      const [, o, n] = first.shape as [number, number, number];
      return matrix(out, columns, (i, j) =>
        Math.floor(i / o) === Math.floor(j / n) ? first.data[i * n + (j % n)]! : 0,
      );
    }
    case "op.identity":
      return matrix(out, columns, (i, j) => (i === j ? 1 : 0));
    case "op.shuffle": {
      const places = shuffledPlaces(node);
      return matrix(out, columns, (i, j) => (places[i] === j ? 1 : 0));
    }
    case "op.select":
      return matrix(out, columns, (i, j) => (first.data[i] === j ? 1 : 0));
    case "op.compose":
      return inputs.reduce(product);
    case "op.add":
      return inputs.reduce((a, b) => matrix(out, columns, (i, j) => at(a, i, j) + at(b, i, j)));
    case "op.scale":
      return matrix(out, columns, (i, j) => at(first, i, j) * second.data[0]!);
    case "op.transpose":
      return matrix(out, columns, (i, j) => at(first, j, i));
    case "op.hadamard":
      return matrix(out, columns, (i, j) => at(first, i, j) * at(second, i, j));
    case "op.kron": {
      const [o, n] = second.shape as [number, number];
      return matrix(out, columns, (i, j) => at(first, Math.floor(i / o), Math.floor(j / n)) * at(second, i % o, j % n));
    }
    case "op.circulant": {
      const [, blocks, size] = first.shape as [number, number, number];
      const entry = (i: number, j: number): number => (((j - i) % size) + size) % size;
      const block = (i: number, j: number): number => Math.floor(i / size) * blocks + Math.floor(j / size);
      return matrix(out, columns, (i, j) => first.data[block(i, j) * size + entry(i, j)]!);
    }
    case "op.fold":
      return matrix(out, columns, (i, j) => (j % out === i ? 1 : 0));
    case "op.turn":
      return matrix(out, columns, (i, j) => turnEntry(i, j, node.attributes.group as number));
    default:
      throw new Error(`${node.op} has no matrix`);
  }
}

function rowNorms(operator: Value): Value {
  const [rows, columns] = operator.shape as [number, number];
  const norms = Array.from({ length: rows }, (_unused, i) =>
    Math.hypot(...operator.data.subarray(i * columns, (i + 1) * columns)),
  );
  return { shape: [rows], data: Float64Array.from(norms) };
}

/** Columns by number, one behind the other. */
function columnsOf(operator: Value, ids: Value): Value {
  const out = operator.shape[0]!;
  const data = Float64Array.from({ length: ids.data.length * out }, (_unused, i) =>
    at(operator, i % out, ids.data[Math.floor(i / out)]!),
  );
  return { shape: [...ids.shape, out], data };
}

/** Every vector of x [..., in] through a matrix [out, in]. */
function applied(operator: Value, x: Value, type: TensorType): Value {
  const [out, width] = operator.shape as [number, number];
  const vectors = matrix(x.data.length / width, width, (i, j) => x.data[i * width + j]!);
  const transposed = matrix(width, out, (i, j) => at(operator, j, i));
  return { shape: type.shape, data: product(vectors, transposed).data };
}

/**
 * Value of a node of an operator-level graph: tensors as they are, operators as matrices [out, in]. `ports` gives data by port name.
 * Sites and dropout have no value here.
 */
export function denseValue(graph: Pick<Graph, "nodes">, id: number, ports: Readonly<Record<string, PortData>>): Value {
  const values = new Map<number, Value>();
  const value = (of: number): Value => {
    const before = values.get(of);
    if (before !== undefined) return before;
    const made = compute(graph.nodes[of]!, value, ports);
    values.set(of, made);
    return made;
  };
  return value(id);
}

function compute(node: Node, value: (id: number) => Value, ports: Readonly<Record<string, PortData>>): Value {
  const inputs = node.inputs.map(value);
  if (node.op === "op.to_dense") return inputs[0]!;
  if (node.op === "op.lookup") return columnsOf(inputs[0]!, inputs[1]!);
  if (node.op === "op.row_norm") return rowNorms(inputs[0]!);
  if (node.op === "op.apply") return applied(inputs[0]!, inputs[1]!, node.type as TensorType);
  if (node.type.kind === "operator") return operatorMatrix(node, inputs);
  if (node.op === "port") {
    const data = ports[portName(node)];
    if (data === undefined) throw new Error(`no data for port ${portName(node)}`);
    return { shape: node.type.shape, data: Float64Array.from(data) };
  }
  return opRecord(node.op).eval!(inputs, node.attributes, node.type);
}
