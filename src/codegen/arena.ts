/** Gives values with known lifetimes places in one arena: the largest first, each at the lowest offset that is free while it lives. */

export interface Lifetime {
  readonly key: number;
  readonly bytes: number;
  /** First and last dispatch that touches the value. */
  readonly from: number;
  readonly to: number;
}

export interface ArenaLayout {
  readonly offsets: ReadonlyMap<number, number>;
  readonly bytes: number;
}

export function layoutArena(values: readonly Lifetime[], alignment: number): ArenaLayout {
  const placed: (Lifetime & { offset: number })[] = [];
  const round = (n: number): number => Math.ceil(n / alignment) * alignment;
  const order = [...values].sort((a, b) => b.bytes - a.bytes || a.from - b.from || a.key - b.key);
  for (const value of order) {
    const rivals = placed.filter((p) => p.from <= value.to && value.from <= p.to).sort((a, b) => a.offset - b.offset);
    let offset = 0;
    for (const rival of rivals) {
      if (offset + round(value.bytes) <= rival.offset) break;
      offset = Math.max(offset, rival.offset + round(rival.bytes));
    }
    placed.push({ ...value, offset });
  }
  const bytes = placed.reduce((most, p) => Math.max(most, p.offset + round(p.bytes)), 0);
  return { offsets: new Map(placed.map((p) => [p.key, p.offset])), bytes };
}
