/**
 * Order of the units and which of them share a dispatch. A list schedule: the first unit that is ready is taken, and with it others that
 * are ready, of the same form, as long as the buffers they bind together are within the limit.
 */
import type { UnitForm } from "./fuse.ts";

export interface Schedulable {
  readonly form: UnitForm;
  readonly dependencies: ReadonlySet<number>;
  readonly buffers: ReadonlySet<string>;
}

/** Bodies of one kernel: more would make texts that take long to compile. */
const mostBodies = 5;

/** Groups of unit numbers in order of execution. */
export function groupUnits(units: readonly Schedulable[], limit: number): number[][] {
  const waiting = new Set(units.keys());
  const groups: number[][] = [];
  const isReady = (u: number): boolean => [...units[u]!.dependencies].every((d) => !waiting.has(d));
  while (waiting.size > 0) {
    const ready = [...waiting].filter(isReady);
    const [first, ...others] = ready;
    if (first === undefined) throw new Error("the units depend on each other in a circle");
    const group = [first];
    const buffers = new Set(units[first]!.buffers);
    for (const u of others) {
      if (group.length === mostBodies || units[u]!.form !== units[first]!.form) continue;
      const together = new Set([...buffers, ...units[u]!.buffers]);
      if (together.size > limit) continue;
      group.push(u);
      for (const b of together) buffers.add(b);
    }
    for (const u of group) waiting.delete(u);
    groups.push(group);
  }
  return groups;
}
