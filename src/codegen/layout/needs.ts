/** What runs when: a dispatch whose values storage needs always does, others when an output that needs them is wanted. */
import type { Fusion } from "../fuse/fuse.ts";
import type { StageOutput } from "./ports-and-results.ts";

export interface Needs {
  always: boolean;
  /** Outputs, not in storage, that need it. */
  readonly outputs: Set<string>;
}

/** For every group of units, in order of execution, what needs it. Results that are `displaced` are copied to storage. */
export function needsOf(
  groups: readonly (readonly number[])[],
  fusion: Fusion,
  outputs: readonly StageOutput[],
  displaced: ReadonlySet<number>,
): readonly Needs[] {
  const groupOf = new Map(groups.flatMap((group, i) => group.map((u): [number, number] => [u, i])));
  const needs = groups.map((): Needs => ({ always: false, outputs: new Set() }));
  for (let i = groups.length - 1; i >= 0; i--) {
    const own = needs[i]!;
    const units = groups[i]!.map((u) => fusion.units[u]!);
    for (const { name, node, slice } of outputs) {
      if (!units.some(({ stored }) => stored.includes(node))) continue;
      if (slice !== undefined || displaced.has(node)) own.always = true;
      else own.outputs.add(name);
    }
    for (const d of units.flatMap(({ dependencies }) => dependencies)) {
      const earlier = needs[groupOf.get(d)!]!;
      earlier.always ||= own.always;
      for (const name of own.outputs) earlier.outputs.add(name);
    }
  }
  return needs;
}
