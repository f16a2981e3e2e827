/**
 * Order of the units and which of them share a dispatch. A list schedule: the first unit that is ready is taken, and with it others that are
 * ready and are the same kernel over the same buffers, as parts of one dispatch.
 */
import { mostParts } from "./kernel.ts";

export interface Schedulable {
  readonly dependencies: ReadonlySet<number>;
  /** Equal for units that can be parts of one dispatch. */
  readonly key: string;
}

/** Groups of unit numbers in order of execution. */
export function groupUnits(units: readonly Schedulable[]): number[][] {
  const waiting = new Set(units.keys());
  const groups: number[][] = [];
  const isReady = (u: number): boolean => [...units[u]!.dependencies].every((d) => !waiting.has(d));
  while (waiting.size > 0) {
    const ready = [...waiting].filter(isReady);
    if (ready.length === 0) throw new Error("the units depend on each other in a circle");
    const group = ready.filter((u) => units[u]!.key === units[ready[0]!]!.key).slice(0, mostParts);
    for (const u of group) waiting.delete(u);
    groups.push(group);
  }
  return groups;
}
