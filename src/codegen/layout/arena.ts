/**
 * Gives values with known lifetimes places in arenas: the largest first, each at the lowest offset that is free while it lives, in the first
 * arena that has room. An arena is a buffer of its own and no larger than a binding, so that whatever kernels read of it can be bound at once.
 */
import { tensorBytes } from "./ports.ts";
import { arenaName } from "./regions.ts";
import { type ArenaLayout, type ArenaPlace, bufferOf, type StageSteps, typeOf } from "./stage.ts";

export interface Lifetime {
  readonly key: number;
  readonly bytes: number;
  /** First and last dispatch that touches the value. */
  readonly from: number;
  readonly to: number;
}

interface Placed extends Lifetime {
  readonly offset: number;
}

/** `largest` bytes of an arena; a value that is larger has one of its own. */
export function layoutArena(values: readonly Lifetime[], alignment: number, largest: number): ArenaLayout {
  const arenas: Placed[][] = [];
  const places = new Map<number, ArenaPlace>();
  const round = (n: number): number => Math.ceil(n / alignment) * alignment;
  const order = [...values].sort((a, b) => b.bytes - a.bytes || a.from - b.from || a.key - b.key);
  for (const value of order) {
    let arena = 0;
    let offset = freeOffset(arenas[0] ?? [], value, round);
    while (offset > 0 && offset + round(value.bytes) > largest) {
      arena++;
      offset = freeOffset(arenas[arena] ?? [], value, round);
    }
    const placed = arenas[arena] ?? [];
    placed.push({ ...value, offset });
    arenas[arena] = placed;
    places.set(value.key, { arena, offset });
  }
  const end = (placed: readonly Placed[]): number =>
    placed.reduce((most, p) => Math.max(most, p.offset + round(p.bytes)), 0);
  return { places, bytes: arenas.map(end) };
}

/** The lowest offset at which an arena is free while a value lives. */
function freeOffset(placed: readonly Placed[], value: Lifetime, round: (n: number) => number): number {
  const rivals = placed.filter((p) => p.from <= value.to && value.from <= p.to).sort((a, b) => a.offset - b.offset);
  let offset = 0;
  for (const rival of rivals) {
    if (offset + round(value.bytes) <= rival.offset) break;
    offset = Math.max(offset, rival.offset + round(rival.bytes));
  }
  return offset;
}

/** When the values between the kernels of a stage live, by number of the group. */
export function lifetimesOf({
  input,
  bodies,
  results,
  groups,
}: Pick<StageSteps, "input" | "bodies" | "results" | "groups">): Lifetime[] {
  const lives = new Map<number, { from: number; to: number }>();
  groups.forEach((group, at) => {
    for (const { node } of group.flatMap((unit) => bodies[unit]!.tensors)) {
      if (bufferOf(input, results, node) !== arenaName(0)) continue;
      lives.set(node, { from: lives.get(node)?.from ?? at, to: at });
    }
  });
  return [...lives].map(([key, life]) => ({ key, bytes: tensorBytes(typeOf(input, key)), ...life }));
}
