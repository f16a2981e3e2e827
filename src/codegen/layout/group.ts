/**
 * Order of the units and which of them share a dispatch. A list schedule: the first unit that is ready is taken, and with it others that are
 * ready and are the same kernel over the same buffers, as parts of one dispatch. Units that can wait are taken when nothing else is ready,
 * those first that most others hang on: by the time that the others are taken their likes in other layers are ready too.
 */
import { mostParts } from "../kernel/kernel.ts";

export interface Schedulable {
  readonly dependencies: ReadonlySet<number>;
  /** Equal for units that can be parts of one dispatch. */
  readonly key: string;
  /** What it reads is small, so that little memory is held while it waits for its likes. */
  readonly canWait: boolean;
  /** It copies out what others made; what it reads is free once it has run. */
  readonly isUrgent?: boolean;
}

/** Groups of unit numbers in order of execution: with waiting or without, whichever gives fewer. */
export function groupUnits(units: readonly Schedulable[]): number[][] {
  const [eager, patient] = [scheduled(units.map((unit) => ({ ...unit, canWait: false }))), scheduled(units)];
  return patient.length < eager.length ? patient : eager;
}

function scheduled(units: readonly Schedulable[]): number[][] {
  const waiting = new Set(units.keys());
  const depths = depthsOf(units);
  const groups: number[][] = [];
  const isReady = (u: number): boolean => [...units[u]!.dependencies].every((d) => !waiting.has(d));
  while (waiting.size > 0) {
    const ready = [...waiting].filter(isReady);
    if (ready.length === 0) throw new Error("the units depend on each other in a circle");
    const deepest = Math.max(...ready.map((u) => depths[u]!));
    const first =
      ready.find((u) => units[u]!.isUrgent) ??
      ready.find((u) => !units[u]!.canWait) ??
      ready.find((u) => depths[u] === deepest)!;
    const group = ready.filter((u) => units[u]!.key === units[first]!.key).slice(0, mostParts);
    for (const u of group) waiting.delete(u);
    groups.push(group);
  }
  return groups;
}

/** Length of the longest chain of units that hangs on every unit. */
function depthsOf(units: readonly Schedulable[]): number[] {
  const readers: number[][] = units.map(() => []);
  units.forEach(({ dependencies }, u) => {
    for (const d of dependencies) readers[d]!.push(u);
  });
  const depths = new Array<number>(units.length).fill(-1);
  const depth = (u: number): number => {
    if (depths[u]! < 0) depths[u] = readers[u]!.reduce((most, r) => Math.max(most, 1 + depth(r)), 0);
    return depths[u]!;
  };
  for (let u = units.length - 1; u >= 0; u--) depth(u);
  return depths;
}
