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

/** What has a place in an arena, by offset: a list for every field, as all of it is gone through for every value. */
class Arena {
  private readonly first: number[] = [];
  private readonly last: number[] = [];
  private readonly offsets: number[] = [];
  private readonly ends: number[] = [];

  get bytes(): number {
    return Math.max(0, ...this.ends);
  }

  /** The lowest offset at which the arena is free while a value lives. */
  freeOffset({ from, to }: Lifetime, bytes: number): number {
    const { first, last, offsets, ends } = this;
    let offset = 0;
    for (let i = 0; i < offsets.length; i++) {
      if (first[i]! > to || from > last[i]!) continue;
      if (offset + bytes <= offsets[i]!) break;
      if (ends[i]! > offset) offset = ends[i]!;
    }
    return offset;
  }

  put({ from, to }: Lifetime, offset: number, bytes: number): void {
    let at = 0;
    for (let end = this.offsets.length; at < end; ) {
      const middle = (at + end) >> 1;
      if (this.offsets[middle]! <= offset) at = middle + 1;
      else end = middle;
    }
    this.first.splice(at, 0, from);
    this.last.splice(at, 0, to);
    this.offsets.splice(at, 0, offset);
    this.ends.splice(at, 0, offset + bytes);
  }
}

/** `largest` bytes of an arena; a value that is larger has one of its own. */
export function layoutArena(values: readonly Lifetime[], alignment: number, largest: number): ArenaLayout {
  const arenas: Arena[] = [];
  const places = new Map<number, ArenaPlace>();
  const order = [...values].sort((a, b) => b.bytes - a.bytes || a.from - b.from || a.key - b.key);
  for (const value of order) {
    const bytes = alignUp(value.bytes, alignment);
    let arena = 0;
    let offset = 0;
    for (; ; arena++) {
      arenas[arena] ??= new Arena();
      offset = arenas[arena]!.freeOffset(value, bytes);
      if (offset === 0 || offset + bytes <= largest) break;
    }
    arenas[arena]!.put(value, offset, bytes);
    places.set(value.key, { arena, offset });
  }
  return { places, bytes: arenas.map(({ bytes }) => bytes) };
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
