/** Which values are made by the ranges of their indices: those of movement ops that look where an index may be. */
import type { Graph } from "../../ir/graph.ts";
import { remembered } from "../../ir/remember.ts";

const looking = ["reshape", "pad", "concat"];

/** Whether what is made of a value depends on how far its index goes. */
export function rangeReaders(graph: Graph, isInMemory: (node: number) => boolean): (node: number) => boolean {
  const known = new Map<number, boolean>();
  const looks = (id: number): boolean =>
    remembered(known, id, () => {
      const { op, inputs } = graph.nodes[id]!;
      return !isInMemory(id) && (looking.includes(op) || inputs.some(looks));
    });
  return looks;
}
