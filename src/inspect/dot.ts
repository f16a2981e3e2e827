/** A graph as Graphviz text: one cluster per module, ports in grey, parameters in colour. */
import type { Graph, Node } from "../ir/graph.ts";
import { typeText } from "../ir/types.ts";

const quote = (text: string): string => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

const fills: Readonly<Record<string, string>> = {
  input: "#dbeafe",
  weight: "#e5e7eb",
  buffer: "#e5e7eb",
  param: "#fde68a",
};

function label(node: Node): string {
  const name = node.op === "port" ? String(node.attributes.name) : node.op;
  const detail = typeof node.attributes.spec === "string" ? ` ${node.attributes.spec}` : "";
  return `${name}${detail}\\n${typeText(node.type)}`;
}

function declaration(node: Node, id: number): string {
  const fill = node.op === "port" ? fills[String(node.attributes.role)] : undefined;
  const style = fill === undefined ? "" : `, style=filled, fillcolor=${quote(fill)}`;
  return `  n${id} [label=${quote(label(node)).replaceAll("\\\\n", "\\n")}${style}];`;
}

/** Nodes of one module stand in one cluster; edges run from value to reader. */
export function toDot(graph: Graph): string {
  const scopes = new Map<string, number[]>();
  graph.nodes.forEach((node, id) => {
    const scope = node.scope ?? "";
    scopes.set(scope, [...(scopes.get(scope) ?? []), id]);
  });
  const clusters = [...scopes].map(([scope, ids], i) => {
    const nodes = ids.map((id) => declaration(graph.nodes[id]!, id));
    return scope === ""
      ? nodes.join("\n")
      : `  subgraph cluster_${i} {\n  label=${quote(scope)};\n${nodes.join("\n")}\n  }`;
  });
  const edges = graph.nodes.flatMap((node, id) => node.inputs.map((input) => `  n${input} -> n${id};`));
  const outputs = graph.outputs.map(
    (output, i) => `  o${i} [label=${quote(output.name)}, shape=plaintext];\n  n${output.node} -> o${i};`,
  );
  return [
    `digraph ${quote(graph.name)} {`,
    "  node [shape=box, fontsize=10];",
    ...clusters,
    ...edges,
    ...outputs,
    "}",
    "",
  ].join("\n");
}
