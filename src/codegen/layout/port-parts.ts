/** Parts of the rows of a frozen port that is too large for a binding: each is a port by itself, with a place of its own. */
import type { Graph, Node } from "../../ir/graph.ts";
import type { TensorType } from "../../ir/types.ts";

/** Elements `from` to `to` along the first axis; an attribute of ports that are parts. */
export type Rows = readonly [from: number, to: number];

export const rowsOf = (node: Node): Rows | undefined => node.attributes.rows as Rows | undefined;

/** The graph with every slice of rows of a port for which `isCut` holds as a port. Ids stay. */
export function withPortParts(graph: Graph, isCut: (port: number) => boolean): Graph {
  const nodes = graph.nodes.map((node): Node => {
    const port = node.inputs[0]!;
    if (node.op !== "slice" || !isCut(port) || !isRows(graph, node)) return node;
    const [from, to] = [(node.attributes.start as number[])[0]!, (node.attributes.limit as number[])[0]!];
    const { shape } = node.type as TensorType;
    const attributes = { ...graph.nodes[port]!.attributes, shape, rows: [from, to] };
    return { ...node, op: "port", inputs: [], attributes };
  });
  return { ...graph, nodes };
}

function isRows(graph: Graph, node: Node): boolean {
  const whole = (graph.nodes[node.inputs[0]!]!.type as TensorType).shape;
  const { shape } = node.type as TensorType;
  return whole.slice(1).every((n, axis) => shape[axis + 1] === n);
}
