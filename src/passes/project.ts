/** Puts the outputs of one graph in place of the ports of another: evaluation reads projected parameters without changing them. */
import { Builder } from "../ir/builder.ts";
import { compact, type Graph, portName } from "../ir/graph.ts";
import { rebuild } from "./rewrite.ts";

/** Every port of `graph` that `values` has an output for (by name) is replaced by that output. */
export function substitutePorts(graph: Graph, values: Graph): Graph {
  const builder = new Builder(graph.name);
  const made = rebuild(values, builder);
  const replacements = new Map(values.outputs.map((o) => [o.name, made[o.node]!]));
  const ids = rebuild(graph, builder, (node) => (node.op === "port" ? replacements.get(portName(node)) : undefined));
  return compact(builder.finish(graph.outputs.map((o) => ({ name: o.name, node: ids[o.node]! }))));
}
