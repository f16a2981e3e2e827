/** The register tile of a contraction: large enough to reuse what is loaded, small enough to keep all invocations busy. */
import type { Target } from "../target.ts";

export interface Tile {
  readonly rows: number;
  readonly columns: number;
}

const sides = [1, 2, 4, 8];

/**
 * Picks the tile with the best estimate of useful work per load: `rows * columns / (rows + columns)` elements are used per number loaded,
 * scaled down by idle invocations and by the part of the tiles that lies outside. `mostElements` bounds the elements of all accumulators.
 */
export function chooseTile(
  target: Target,
  extents: readonly [number, number, number],
  accumulators: number,
  wide: boolean,
  mostElements: number,
): Tile {
  const [batch, rows, columns] = extents;
  let best: { tile: Tile; score: number } | undefined;
  for (const r of sides) {
    for (const n of sides) {
      if (wide && n < 4) continue;
      if (r * n * accumulators > mostElements) continue;
      const [down, across] = [Math.ceil(rows / r), Math.ceil(columns / n)];
      const inside = (rows / (down * r)) * (columns / (across * n));
      const busy = Math.min(1, (batch * down * across) / target.parallelism);
      const reuse = (r * n) / (r + n);
      const score = (reuse / (reuse + 2)) * inside * busy;
      if (best === undefined || score > best.score * 1.001) best = { tile: { rows: r, columns: n }, score };
    }
  }
  return best!.tile;
}
