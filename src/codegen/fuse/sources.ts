/** Which kept values a value is computed from, and how it reads them: what decides whether it can join their unit. */
import type { Graph } from "../../ir/graph.ts";
import { isHeavy } from "../../ir/registry.ts";
import type { Liveness } from "./kept.ts";

/** How a value reads a member: at its own index, at the index of its row (the kept axes in the text), or anyhow. */
type Mode = "same" | "other" | `row ${string}`;

export interface Source {
  readonly member: number;
  readonly mode: Mode;
}

/** Kept values that the value is computed from, with the ways it reads them. */
export function sourcesOf(graph: Graph, id: number, kept: ReadonlySet<number>, liveness: Liveness): Source[] {
  const found = new Map<number | string, Source>();
  const seen = new Set<number | string>();
  const node = graph.nodes[id]!;
  const through = (at: number, mode: Mode): Mode => modeThrough(graph, at, mode, liveness);
  const visit = (input: number, mode: Mode): void => {
    const key = mode === "same" ? input : `${input} ${mode}`;
    if (seen.has(key)) return;
    seen.add(key);
    if (kept.has(input)) {
      found.set(key, { member: input, mode });
      return;
    }
    for (const next of graph.nodes[input]!.inputs) visit(next, through(input, mode));
  };
  const start: Mode = isHeavy(node) && node.op !== "sum" && node.op !== "reduce_max" ? "other" : "same";
  const own = isHeavy(node) ? start : through(id, "same");
  for (const input of node.inputs) visit(input, own);
  return [...found.values()];
}

function modeThrough(graph: Graph, id: number, mode: Mode, liveness: Liveness): Mode {
  const node = graph.nodes[id]!;
  if (liveness.pointwise[id]) return mode;
  if (node.op === "broadcast" && mode === "same") return `row ${(node.attributes.axes as number[]).join()}`;
  return "other";
}
