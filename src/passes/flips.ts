/** At which numbers of vectors a decision goes another way: asked of the costs themselves, which need not be straight lines. */

/** `to` is taken from so many vectors on, or below so many. */
export interface Flip {
  readonly to: string;
  readonly side: "from" | "below";
  readonly vectors: number;
}

/** Up to here it is looked for. */
const most = 2 ** 24;

function powers(vectors: number): { readonly below: readonly number[]; readonly above: readonly number[] } {
  const [below, above]: [number[], number[]] = [[], []];
  for (let n = vectors; n > 1; below.push(n)) n = Math.floor(n / 2);
  for (let n = 2 * vectors; n <= most; n *= 2) above.push(n);
  return { below, above };
}

/** The first decision that is another one, if it stays from there to the end, and the exact place by bisection. */
function along(counts: readonly number[], start: number, decide: (vectors: number) => string) {
  const now = decide(start);
  const first = counts.findIndex((n) => decide(n) !== now);
  if (first < 0) return undefined;
  const to = decide(counts[first]!);
  if (!counts.slice(first).every((n) => decide(n) === to)) return undefined;
  let [same, other] = [counts[first - 1] ?? start, counts[first]!];
  while (Math.abs(other - same) > 1) {
    const middle = Math.floor((same + other) / 2);
    if (decide(middle) === now) same = middle;
    else other = middle;
  }
  return { to, same, other };
}

/** Nothing where the same is decided for every number of vectors, or where it goes there and back. */
export function flipsOf(vectors: number, decide: (vectors: number) => string): Flip[] {
  const { below, above } = powers(vectors);
  const [down, up] = [along(below, vectors, decide), along(above, vectors, decide)];
  return [
    ...(down === undefined ? [] : [{ to: down.to, side: "below" as const, vectors: down.same }]),
    ...(up === undefined ? [] : [{ to: up.to, side: "from" as const, vectors: up.other }]),
  ];
}
