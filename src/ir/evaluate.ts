/** The oracle: evaluates a tensor-level graph node by node in f64. Slow and plain on purpose. */
import type { Graph } from "./graph.ts";
import { portName } from "./graph.ts";
import type { Value } from "./op-record.ts";
import { opRecord } from "./registry.ts";
import { sizeOf } from "./types.ts";

/** Data of a port: anything indexable by number, row-major, as long as the port's shape says. */
export type PortData = ArrayLike<number>;

/**
 * Values of all nodes that some output needs. `ports` gives the data by port name.
 * Throws when data is missing or has the wrong length, or when the graph still holds operator-level ops.
 */
export function evaluateAll(graph: Graph, ports: Readonly<Record<string, PortData>>): (Value | undefined)[] {
  const values: (Value | undefined)[] = [];
  for (const node of graph.nodes) {
    if (node.type.kind !== "tensor")
      throw new Error(`${node.op} is operator level and has no f64 evaluation; run associate first`);
    if (node.op === "port") {
      const data = ports[portName(node)];
      if (data === undefined || data.length !== sizeOf(node.type.shape)) {
        throw new Error(
          `port ${portName(node)} wants ${sizeOf(node.type.shape)} numbers and got ${data?.length ?? "none"}`,
        );
      }
      values.push({ shape: node.type.shape, data: Float64Array.from(data) });
      continue;
    }
    const record = opRecord(node.op);
    if (record.eval === undefined) throw new Error(`${node.op} has no f64 evaluation`);
    values.push(
      record.eval(
        node.inputs.map((i) => values[i]!),
        node.attributes,
        node.type,
      ),
    );
  }
  return values;
}

/** The outputs by name. */
export function evaluate(graph: Graph, ports: Readonly<Record<string, PortData>>): Record<string, Value> {
  const values = evaluateAll(graph, ports);
  return Object.fromEntries(graph.outputs.map((output) => [output.name, values[output.node]!]));
}
