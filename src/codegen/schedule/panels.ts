/**
 * Contractions by panels, for processors (Goto and van de Geijn 2008): a workgroup owns some columns of the result and many of its rows. It
 * copies what it needs of the column operand once, into a panel in which a tile's columns lie in a row, and then goes down the rows, tile by
 * tile, with all sums of a tile in registers. Operands are copied through the emitter, so that views and packed weights are expanded once for
 * all rows. What is left of the rows below the last whole tile is a smaller tile with a text of its own.
 */
import { type Affine, add, constant, element, scale } from "../emit/affine.ts";
import { lane } from "../emit/emitter.ts";
import { binary, type Expr, type SharedArray, sizeLiteral, u32 } from "../kernel/kernel.ts";
import { type Body, blockIndex, bodyOf, type Estimate, opNames, type Schedule, type ScheduleContext } from "./body.ts";
import { loopOfSums } from "./long-sums.ts";
import { columnReader, rowReader } from "./operands.ts";
import { emitResults, run } from "./results.ts";
import {
  along,
  type Contraction,
  clamped,
  describe,
  lengthsOf,
  partsOf,
  plainSegmentOf,
  segmentOf,
  type TilePlace,
  tileAt,
} from "./segment.ts";
import type { Tile } from "./tile.ts";
import { accumulate, sumsOf, tileSums } from "./tile-sums.ts";

interface PanelEstimate extends Estimate {
  readonly tile: Tile;
  /** Whole tiles of rows that a workgroup goes down. */
  readonly depth: number;
}

export const panels: Schedule<PanelEstimate> = { name: "panels", form: "contraction", estimate, emit };

/** Where there are rows enough to make up for the copy: every number of the panel is read once more, and written. */
function estimate(c: ScheduleContext): PanelEstimate | undefined {
  const parts = partsOf(c);
  const [batches, rows, columns] = parts.extents;
  const { panelTile, panelRows } = c.tuning;
  // The sums of another accumulator wait in memory while those of one are added to.
  const tile = panelTile;
  const whole = Math.floor(rows / tile.rows);
  if (c.target.tiles !== "panels" || !parts.wide || rows < panelRows || columns < tile.columns) return undefined;
  const across = batches * Math.ceil(columns / tile.columns);
  const blocks = Math.min(Math.ceil(whole / panelRows), Math.max(1, Math.ceil(c.target.parallelism / across)));
  const depth = Math.ceil(whole / blocks);
  const cost = (): number =>
    lengthsOf(parts).reduce((sum, n) => sum + (n * (tile.rows + tile.columns / 4)) / (tile.rows * tile.columns), 0);
  return { tile, depth, cost };
}

const array = "panel";

function emit(c: ScheduleContext, { tile, depth }: PanelEstimate): Body {
  c.emitter.divides = "by words";
  const k: Contraction = { ...partsOf(c), tile, wide: true, unrolled: false };
  const { emitter } = c;
  const [batches, rows, columns] = k.extents;
  const whole = Math.floor(rows / tile.rows);
  const [down, across] = [Math.max(1, Math.ceil(whole / depth)), Math.ceil(columns / tile.columns)];
  const at = tileAt(k, blockIndex, [batches, down, across]);
  const einsums = k.accumulators.flatMap((accumulator) => accumulator.einsums);
  const place = (row: Affine, count: number): TilePlace => placeOf(k, at, row, count);
  const starts = new Map<number, number>();
  let length = 0;
  for (const einsum of einsums) {
    const segment = plainSegmentOf(k, einsum, place(constant(0), tile.rows));
    starts.set(einsum, length);
    length += (segment.length * tile.columns) / 4;
    copyPanel(k, einsum, place(constant(0), 1), starts.get(einsum)!);
  }
  const tileFrom = (row: Affine, count: number): void => emitTile(k, place(row, count), starts);
  const turns = (from: Expr, to: Expr): void =>
    emitter.loop(from, to, u32(1), whole, (turn) => tileFrom(scale(turn, tile.rows), tile.rows));
  if (down === 1) turns(u32(0), sizeLiteral(whole));
  else {
    const first = emitter.bind({ expr: binary("*", emitter.address(at.row).expr, sizeLiteral(depth)), depth: 0 }).expr;
    const args = [binary("+", first, sizeLiteral(depth)), sizeLiteral(whole)];
    turns(first, { kind: "op", op: "minimum", args, type: "u32", lanes: 1 });
  }
  const left = rows % tile.rows;
  const isLast = binary("<", sizeLiteral(down), binary("+", emitter.address(at.row).expr, u32(2)));
  if (left > 0) emitter.when(isLast, () => tileFrom(constant(rows - left), left));
  const shared: SharedArray[] = [{ name: array, type: "f32", lanes: 4, length }];
  const doc = [
    `contraction, panels of ${tile.columns} columns, ${tile.rows} rows at a time, ${describe(k)}: ${opNames(c)}`,
  ];
  const name = `contract_panel_${tile.rows}x${tile.columns}`;
  return bodyOf(c, { name, doc, workgroups: batches * down * across, shared });
}

type TileAt = ReturnType<typeof tileAt>;

/** The tile of `count` rows from one on. */
function placeOf(k: Contraction, { batch, column: columnTile }: TileAt, first: Affine, count: number): TilePlace {
  const vectors = k.tile.columns / 4;
  const columnAt = (j: Affine): Affine =>
    add(scale(clamped(k, add(scale(columnTile, vectors), j), k.extents[2] / 4, "column"), 4), lane);
  const rowIndex = (i: Affine): readonly Affine[] => along(k, k.form.rows, add(first, i));
  const columnIndex = (j: Affine): readonly Affine[] => along(k, k.form.columns, columnAt(j));
  return {
    batch: along(k, k.form.batch, batch),
    rows: run(count).map((i) => rowIndex(element("row", i))),
    rowGroups: [],
    columns: run(vectors).map((j) => columnIndex(element("column", j))),
    rowIndex,
    columnIndex,
    tile: { batch, row: first, column: columnAt(element("column", 0)) },
  };
}

/**
 * Copies what one product needs of its column operand, contracted element by contracted element: four at a time where four columns are read in
 * fewer loads that way.
 */
function copyPanel(whole: Contraction, einsum: number, place: TilePlace, start: number): void {
  const { emitter } = whole.c;
  const k: Contraction = { ...whole, unrolled: true, tile: { ...whole.tile, rows: 1 } };
  const segment = segmentOf(k, einsum, place);
  const step = segment.column === "inner" ? segment.step : 1;
  emitter.loop(u32(0), sizeLiteral(segment.length / step), u32(1), segment.length / step, (at) => {
    const first = scale(at, step);
    const column = columnReader(k, segment, first, []);
    for (const kk of run(step)) {
      place.columns.forEach((_column, j) => {
        const index = panelIndex(k, add(first, constant(kk)), start, j);
        emitter.push({ kind: "store-shared", array, index, value: column(j, kk) });
      });
    }
  });
}

function panelIndex(k: Contraction, at: Affine, start: number, vector: number): Expr {
  const { emitter } = k.c;
  const position = add(scale(at, k.tile.columns / 4), constant(start + vector));
  return emitter.address(position).expr;
}

function emitTile(k: Contraction, place: TilePlace, starts: ReadonlyMap<number, number>): void {
  const size = [place.rows.length, place.columns.length] as const;
  emitResults(
    k,
    place,
    tileSums(k, size, (einsum, names) => emitProduct(k, einsum, place, starts.get(einsum)!, names.flat())),
  );
}

/** Adds one product to the sums. */
function emitProduct(k: Contraction, einsum: number, place: TilePlace, start: number, sums: readonly string[]): void {
  const { emitter } = k.c;
  const segment = plainSegmentOf(k, einsum, place);
  const { length } = segment;
  loopOfSums(emitter, { from: u32(0), turns: length, step: 1, sums, ...sumsOf(k) }, length, (at, own) => {
    const row = rowReader(k, segment, at, []);
    const columns = place.columns.map((_column, j): Expr => {
      const expr: Expr = { kind: "shared", array, index: panelIndex(k, at, start, j), type: "f32", lanes: 4 };
      return emitter.bind({ expr, depth: emitter.depth }, segment.form.columnOperand.node).expr;
    });
    place.rows.forEach((_row, i) => {
      columns.forEach((column, j) => {
        accumulate(k, own[i * columns.length + j]!, row(i, 0), column);
      });
    });
  });
}
