/**
 * Contractions by register tiles: an invocation owns a tile of rows x columns of the result, goes through the contracted elements of every
 * segment (an einsum of the sum) and adds outer products. Operands are read through the emitter, so a prologue (a view, an expanded bf16
 * weight, a lookup) costs nothing extra, and the epilogue is the value of the stored members at the tile's elements.
 *
 * Operands are read four elements at once along the axis that needs the fewest loads: the contracted one, or the tile's own. Columns are
 * kept in vectors of four when their number allows. Ragged tiles are clamped: what lies outside repeats the last row or column and stores
 * the same number at the same place.
 */

import { once } from "../../ir/remember.ts";
import { type Affine, add, divide, element, remainder, scale } from "../emit/affine.ts";
import { lane } from "../emit/emitter.ts";
import { u32 } from "../kernel/kernel.ts";
import {
  type Body,
  blockIndex,
  bodyOf,
  type Estimate,
  opNames,
  perInvocation,
  probeOf,
  type Schedule,
  type ScheduleContext,
} from "./body.ts";
import { longSum, loopOfSums } from "./long-sums.ts";
import { columnReader, rowReader } from "./operands.ts";
import { emitResults, run } from "./results.ts";
import {
  along,
  type Contraction,
  clamped,
  describe,
  lengthsOf,
  partsOf,
  rowsGroup,
  segmentOf,
  type TilePlace,
  tileAt,
  vectorsOf,
} from "./segment.ts";
import { chooseTile, type Tile } from "./tile.ts";
import { accumulate, epilogueOps, sumsOf, tileSums } from "./tile-sums.ts";

interface TileEstimate extends Estimate {
  readonly tile: Tile;
  readonly wide: boolean;
  readonly unrolled: boolean;
}

/** Costs of contractions are loads per element of the result, of one number or of four in a row. */
export const registerTiles: Schedule<TileEstimate> = { name: "register tiles", form: "contraction", estimate, emit };

function emit(c: ScheduleContext, { tile, wide, unrolled }: TileEstimate): Body {
  const { emitter } = c;
  emitter.divides = "by words";
  const k: Contraction = { ...partsOf(c), tile, wide, unrolled };
  const tiles = tilesOf(k);
  const workgroups = perInvocation(c, tiles[0] * tiles[1] * tiles[2], (at) => emitTile(k, tiles, at));
  const doc = [`contraction, ${tile.rows} x ${tile.columns} elements per invocation, ${describe(k)}: ${opNames(c)}`];
  return bodyOf(c, { name: `contract_${tile.rows}x${tile.columns}`, doc, workgroups });
}

/**
 * Chooses the tile, and whether a turn of the loop takes four contracted elements: that lets operands be read along the contracted axis,
 * but the text is four times as long, so that the tile is smaller. The fewer loads per product win.
 */
function estimate(c: ScheduleContext): TileEstimate {
  const parts = partsOf(c);
  const { extents, accumulators, wide } = parts;
  const { tinyContraction, smallContraction, smallTile, largestTile, unrolledTile, unrollPrice, longEpilogue } =
    c.tuning;
  const lengths = lengthsOf(parts);
  const products = extents[0] * extents[1] * extents[2] * lengths.reduce((sum, length) => sum + length, 0);
  const variant = (unrolled: boolean, mostElements: number): TileEstimate => {
    const tile = chooseTile(c.target, extents, accumulators.length, wide, unrolled ? unrolledTile : mostElements);
    const cost = once(() => {
      const probe = probeOf(c);
      const trial: Contraction = { ...parts, tile, unrolled, c: { ...c, emitter: probe } };
      const place = placeOf(trial, tilesOf(trial), probe.index(blockIndex, Number.MAX_SAFE_INTEGER));
      const segments = accumulators.flatMap((a) => a.einsums).map((einsum) => segmentOf(trial, einsum, place));
      const loads = segments.reduce((sum, s) => sum + s.length * s.loads(), 0);
      return (loads * (unrolled ? unrollPrice : 1)) / (tile.rows * tile.columns);
    });
    return { tile, wide, unrolled, cost };
  };
  // Every sum of a block is another register.
  const isLong = lengths.some((length) => length > longSum);
  const plain = variant(false, isLong || epilogueOps(c) > longEpilogue ? largestTile / 2 : largestTile);
  if (products < tinyContraction) return { ...plain, wide: false, tile: { rows: 1, columns: 1 } };
  if (products < smallContraction) return variant(false, smallTile * accumulators.length);
  const unrolled = variant(true, unrolledTile);
  return unrolled.cost() < plain.cost() ? unrolled : plain;
}

const tilesOf = ({ extents, tile }: Contraction): readonly [number, number, number] => [
  extents[0],
  Math.ceil(extents[1] / tile.rows),
  Math.ceil(extents[2] / tile.columns),
];

function emitTile(k: Contraction, tiles: readonly [number, number, number], at: Affine): void {
  const place = placeOf(k, tiles, at);
  const size = [place.rows.length, place.columns.length] as const;
  emitResults(
    k,
    place,
    tileSums(k, size, (einsum, names) => emitSegment(k, einsum, place, names)),
  );
}

function placeOf(k: Contraction, tiles: readonly [number, number, number], at: Affine): TilePlace {
  const { emitter } = k.c;
  const { tile, extents } = k;
  const { batch, row: rowTile, column: columnTile } = tileAt(k, emitter.address(at).expr, tiles);
  const groupAt = (g: Affine): Affine => clamped(k, add(scale(rowTile, tile.rows / 4), g), extents[1] / 4, "row");
  const inGroups = rowsGroup(k) && extents[1] % tile.rows !== 0;
  const rowAt = (i: Affine): Affine =>
    inGroups
      ? add(scale(groupAt(divide(i, 4)), 4), remainder(i, 4))
      : clamped(k, add(scale(rowTile, tile.rows), i), extents[1], "row");
  const vectors = vectorsOf(k);
  const columnAt = (j: Affine): Affine => {
    const extent = k.wide ? extents[2] / 4 : extents[2];
    const position = clamped(k, add(scale(columnTile, vectors), j), extent, "column");
    return k.wide ? add(scale(position, 4), lane) : position;
  };
  const rowIndex = (i: Affine): readonly Affine[] => along(k, k.form.rows, rowAt(i));
  const columnIndex = (j: Affine): readonly Affine[] => along(k, k.form.columns, columnAt(j));
  const first = element("row", 0);
  return {
    batch: along(k, k.form.batch, batch),
    rows: run(tile.rows).map((i) => rowIndex(element("row", i))),
    rowGroups: run(tile.rows / 4).map((g) => along(k, k.form.rows, add(scale(groupAt(element("row", g)), 4), lane))),
    columns: run(vectors).map((j) => columnIndex(element("column", j))),
    rowIndex,
    columnIndex,
    tile: { batch, row: rowAt(first), column: columnAt(element("column", 0)) },
  };
}

/** Adds one einsum to the accumulators. */
function emitSegment(k: Contraction, einsum: number, place: TilePlace, names: readonly (readonly string[])[]): void {
  const { emitter } = k.c;
  const segment = segmentOf(k, einsum, place);
  const { step } = segment;
  const loop = { from: u32(0), turns: segment.length / step, step: 1, sums: names.flat(), ...sumsOf(k) };
  loopOfSums(emitter, loop, segment.length, (at, own) => {
    const first = scale(at, step);
    const { batch, row: rowAt, column: columnAt } = place.tile;
    const row = rowReader(k, segment, first, [batch, rowAt, at]);
    const column = columnReader(k, segment, first, [batch, columnAt, at]);
    for (let kk = 0; kk < step; kk++) {
      names.forEach((line, i) => {
        line.forEach((_name, j) => {
          accumulate(k, own[i * line.length + j]!, row(i, kk), column(j, kk));
        });
      });
    }
  });
}
