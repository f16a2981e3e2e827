/**
 * Gives values with known lifetimes places in arenas: the largest first, each at the lowest offset that is free while it lives, in the first
 * arena that has room. An arena is a buffer of its own and no larger than a binding, so that whatever kernels read of it can be bound at once.
 */
import { alignUp } from "../plan.ts";
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
  /** Where the next may begin. */
  readonly end: number;
}

/** `largest` bytes of an arena; a value that is larger has one of its own. */
export function layoutArena(values: readonly Lifetime[], alignment: number, largest: number): ArenaLayout {
  /** By offset. */
  const arenas: Placed[][] = [];
  const places = new Map<number, ArenaPlace>();
  const order = [...values].sort((a, b) => b.bytes - a.bytes || a.from - b.from || a.key - b.key);
  for (const value of order) {
    const bytes = alignUp(value.bytes, alignment);
    let arena = 0;
    let offset = freeOffset(arenas[0] ?? [], value, bytes);
    while (offset > 0 && offset + bytes > largest) {
      arena++;
      offset = freeOffset(arenas[arena] ?? [], value, bytes);
    }
    arenas[arena] ??= [];
    const placed = arenas[arena]!;
    const behind = placed.findIndex((p) => p.offset > offset);
    placed.splice(behind < 0 ? placed.length : behind, 0, { ...value, offset, end: offset + bytes });
    places.set(value.key, { arena, offset });
  }
  const end = (placed: readonly Placed[]): number => placed.reduce((most, p) => Math.max(most, p.end), 0);
  return { places, bytes: arenas.map(end) };
}

/** The lowest offset at which an arena is free while a value lives. */
function freeOffset(placed: readonly Placed[], { from, to }: Lifetime, bytes: number): number {
  let offset = 0;
  for (const rival of placed) {
    if (rival.from > to || from > rival.to) continue;
    if (offset + bytes <= rival.offset) break;
    if (rival.end > offset) offset = rival.end;
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
