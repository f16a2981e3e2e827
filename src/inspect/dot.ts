/** Graphs and plans as Graphviz text. */
import type { BoundRange, PlannedStage } from "../codegen/plan.ts";
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

/** A graph: nodes of one module stand in one cluster, ports in grey, parameters in colour; edges run from value to reader. */
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

const overlap = (a: BoundRange, b: BoundRange): boolean =>
  a.buffer === b.buffer && a.offset < b.offset + b.size && b.offset < a.offset + a.size;

/** The dispatches of a plan, a cluster per stage; edges run from the dispatch that last wrote a range to those that read of it. */
export function dispatchesToDot(stages: readonly PlannedStage[]): string {
  const writers: { readonly range: BoundRange; readonly by: string }[] = [];
  const edges: string[] = [];
  const clusters = stages.map(({ name, dispatches }) => {
    const nodes = dispatches.map(({ kernel, bindings, grid }, i) => {
      const id = `${name}${i}`;
      const sources = bindings.flatMap((range) => writers.findLast((writer) => overlap(writer.range, range))?.by ?? []);
      for (const source of new Set(sources)) edges.push(`  ${source} -> ${id};`);
      for (const range of bindings) if (range.access === "read_write") writers.push({ range, by: id });
      return `  ${id} [label=${quote(`${kernel} ${grid.join(" x ")}`)}];`;
    });
    return `  subgraph cluster_${name} {\n  label=${quote(name)};\n${nodes.join("\n")}\n  }`;
  });
  return ['digraph "plan" {', "  node [shape=box, fontsize=10];", ...clusters, ...edges, "}", ""].join("\n");
}
