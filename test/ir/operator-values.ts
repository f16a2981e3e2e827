/** Evaluates graphs of the operator level by the matrices of the records, which share nothing with the lowering that passes use. */
import type { PortData } from "../../src/ir/evaluate.ts";
import { type Graph, type Node, portName } from "../../src/ir/graph.ts";
import type { Value } from "../../src/ir/op-record.ts";
import { operatorRecord } from "../../src/ir/operators/index.ts";
import { opRecord } from "../../src/ir/registry.ts";

type Ports = Readonly<Record<string, PortData>>;

/** Ops whose result has a vector for every vector or number of their second input. */
const vectorByVector: readonly string[] = ["op.apply", "op.lookup"];

/**
 * Values of nodes: tensors as they are, operators as matrices [out, in]. `place`, from 0 up to 1, is that of a vector in its batch: operators
 * that vary have another matrix for every vector. Sites and dropout have no value here.
 */
export function operatorValues(graph: Pick<Graph, "nodes">, ports: Ports): (id: number, place?: number) => Value {
  const known = new Map<string, Value>();
  const value = (id: number, place = 0): Value => {
    const key = `${id} ${place}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    const made = compute(graph.nodes[id]!, place);
    known.set(key, made);
    return made;
  };
  const compute = (node: Node, place: number): Value => {
    const { op, inputs, attributes, type } = node;
    if (op === "port") return { shape: shapeOf(node), data: Float64Array.from(ports[portName(node)]!) };
    const own = (at: number): Value[] => inputs.map((input) => value(input, at));
    if (type.kind === "operator") return operatorRecord(op).matrix(node, own(place), place);
    if (!vectorByVector.includes(op)) return opRecord(op).eval!(own(0), attributes, type);
    const width = type.shape.at(-1)!;
    const count = type.shape.slice(0, -1).reduce((product, n) => product * n, 1);
    const vectors = Array.from({ length: count }, (_unused, i) => {
      const all = opRecord(op).eval!(own(i / count), attributes, type);
      return [...all.data.subarray(i * width, (i + 1) * width)];
    });
    return { shape: type.shape, data: Float64Array.from(vectors.flat()) };
  };
  return value;
}

const shapeOf = ({ type }: Node): readonly number[] => (type.kind === "tensor" ? type.shape : []);

/** The outputs by name, for data by port name. */
export function evaluateOperators(graph: Graph, ports: Ports): Record<string, Value> {
  const value = operatorValues(graph, ports);
  return Object.fromEntries(graph.outputs.map(({ name, node }) => [name, value(node)]));
}
