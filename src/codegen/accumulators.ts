/** Which products of a contraction kernel are added up in one accumulator. */
import type { Graph } from "../ir/graph.ts";

/** One accumulator of a contraction kernel: the node whose value it holds, and the einsums that are added up in it. */
export interface Accumulator {
  readonly root: number;
  readonly einsums: readonly number[];
}

/** Einsums that nobody else reads and that meet in additions share an accumulator. */
export function accumulatorsOf(graph: Graph, uses: readonly number[], einsums: readonly number[]): Accumulator[] {
  const groups = new Map<number, number[]>(einsums.map((id) => [id, [id]]));
  graph.nodes.forEach((node, id) => {
    if (node.op !== "add" || node.inputs[0] === node.inputs[1]) return;
    const parts = node.inputs.map((i) => (uses[i] === 1 ? groups.get(i) : undefined));
    if (parts[0] === undefined || parts[1] === undefined) return;
    for (const input of node.inputs) groups.delete(input);
    groups.set(id, [...parts[0], ...parts[1]]);
  });
  return [...groups].map(([root, list]) => ({ root, einsums: list })).sort((a, b) => a.root - b.root);
}
