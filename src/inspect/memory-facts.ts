/** What is in memory when, and what is computed more than once: asked by the report's page and by the command. */

/** A value in memory: bytes, and the dispatches of its stage between which it lives. */
export interface Held {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/** Bytes that are live at every one of so many dispatches. */
export function liveBytes(values: readonly Held[], dispatches: number): number[] {
  const live = new Array<number>(dispatches).fill(0);
  for (const { bytes, first, last } of values) for (let at = first; at <= last; at++) live[at]! += bytes;
  return live;
}

/** The first dispatch at which most is live. */
export const peakAt = (live: readonly number[]): number => live.indexOf(live.reduce((a, b) => Math.max(a, b), 0));

/** Values that are live at a dispatch, the largest first. */
export const heldAt = <T extends Held>(values: readonly T[], at: number): T[] =>
  values.filter(({ first, last }) => first <= at && at <= last).sort((a, b) => b.bytes - a.bytes);

/** By node: the dispatches that compute it. */
export function computedBy(dispatches: readonly { readonly nodes: readonly number[] }[]): Map<number, number[]> {
  const computed = new Map<number, number[]>();
  for (const [at, { nodes }] of dispatches.entries())
    for (const node of nodes) computed.set(node, [...(computed.get(node) ?? []), at]);
  return computed;
}

/** A node that several dispatches compute, and the flops that all times but the first take. */
export interface Repeated {
  readonly node: number;
  readonly dispatches: readonly number[];
  readonly extra: number;
}

/** Nodes that several dispatches compute and that cost something, by what the further times take. */
export const repeated = (
  computed: ReadonlyMap<number, readonly number[]>,
  flopsOf: (node: number) => number,
): Repeated[] =>
  [...computed]
    .map(([node, dispatches]) => ({ node, dispatches, extra: flopsOf(node) * (dispatches.length - 1) }))
    .filter(({ dispatches, extra }) => dispatches.length > 1 && extra > 0)
    .sort((a, b) => b.extra - a.extra);
