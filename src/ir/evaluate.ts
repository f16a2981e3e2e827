/** The oracle: evaluates a tensor-level graph node by node in f64. Slow and plain on purpose. */
import { type Graph, type Node, portName } from "./graph.ts";
import type { Value } from "./op-record.ts";
import { opRecord } from "./registry.ts";
import { sizeOf } from "./types.ts";

/** Data of a port: anything indexable by number, row-major, as long as the port's shape says. */
export type PortData = ArrayLike<number>;

const operatorLevel = (op: string): Error =>
  new Error(`${op} is operator level and has no f64 evaluation; run associate first`);

/** Of a port, or of another node whose numbers are known. */
function dataOf(node: Node, data: PortData | undefined): Value {
  const { op, type } = node;
  if (type.kind !== "tensor") throw operatorLevel(op);
  if (data === undefined || data.length !== sizeOf(type.shape)) {
    const name = op === "port" ? `port ${portName(node)}` : op;
    throw new Error(`${name} wants ${sizeOf(type.shape)} numbers and got ${data?.length ?? "none"}`);
  }
  return { shape: type.shape, data: Float64Array.from(data) };
}

function resultOf({ op, attributes, type }: Node, given: readonly Value[]): Value {
  if (type.kind !== "tensor") throw operatorLevel(op);
  const record = opRecord(op);
  if (record.eval === undefined) throw new Error(`${op} has no f64 evaluation`);
  return record.eval(given, attributes, type);
}

/**
 * Values of all nodes that some output needs. `ports` gives the data by port name.
 * Throws when data is missing or has the wrong length, or when the graph still holds operator-level ops.
 */
export function evaluateAll(graph: Graph, ports: Readonly<Record<string, PortData>>): (Value | undefined)[] {
  const values: Value[] = [];
  for (const node of graph.nodes) {
    const given = () => node.inputs.map((input) => values[input]!);
    values.push(node.op === "port" ? dataOf(node, ports[portName(node)]) : resultOf(node, given()));
  }
  return values;
}

/** The nodes on the way from known ones to those that are wanted, in order; ports that nobody knows are among them. */
export function nodesBetween(graph: Graph, isKnown: (id: number) => boolean, wanted: readonly number[]): number[] {
  const [found, open] = [new Set<number>(), [...wanted]];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (found.has(id) || isKnown(id)) continue;
    found.add(id);
    open.push(...graph.nodes[id]!.inputs);
  }
  return [...found].sort((a, b) => a - b);
}

/** A node with its value, and those that it was made of. */
export type EvaluatedNode = readonly [id: number, value: Value, given: readonly Value[]];

/**
 * Evaluates these nodes, in the order of the graph, one when it is asked for. `known` gives the data of nodes that are not among them, which is
 * taken when a node reads it. Nothing is held when its last reader is done. Throws what `evaluateAll` does.
 */
export function* evaluateNodes(
  graph: Graph,
  ids: readonly number[],
  known: (id: number) => PortData | undefined,
): Generator<EvaluatedNode> {
  const lastReaders = new Map<number, number>();
  for (const id of ids) for (const input of graph.nodes[id]!.inputs) lastReaders.set(input, id);
  const values = new Map<number, Value>();
  const held = (id: number): Value => {
    const value = values.get(id) ?? dataOf(graph.nodes[id]!, known(id));
    values.set(id, value);
    return value;
  };
  for (const id of ids) {
    const { inputs } = graph.nodes[id]!;
    const given = inputs.map(held);
    const value = resultOf(graph.nodes[id]!, given);
    for (const input of inputs) if (lastReaders.get(input) === id) values.delete(input);
    if (lastReaders.has(id)) values.set(id, value);
    yield [id, value, given];
  }
}

/** The outputs by name. */
export function evaluate(graph: Graph, ports: Readonly<Record<string, PortData>>): Record<string, Value> {
  const values = evaluateAll(graph, ports);
  return Object.fromEntries(graph.outputs.map((output) => [output.name, values[output.node]!]));
}
