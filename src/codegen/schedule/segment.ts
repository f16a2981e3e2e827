/** One product of a contraction: how its operands are indexed and read for a tile. */
import { once, remembered } from "../../ir/remember.ts";
import { sizeOf } from "../../ir/types.ts";
import { type Affine, add, constant, delinearize, hasLane, scale, variable } from "../emit/affine.ts";
import { lane } from "../emit/emitter.ts";
import { atLane } from "../emit/lanes.ts";
import { type Accumulator, accumulatorsOf, type ContractionForm, contractionForm } from "../fuse/contraction-form.ts";
import { binary, type Expr, sizeLiteral, u32 } from "../kernel/kernel.ts";
import { probeOf, type ScheduleContext } from "./body.ts";
import type { Tile } from "./tile.ts";

export interface Contraction {
  readonly c: ScheduleContext;
  readonly form: ContractionForm;
  readonly accumulators: readonly Accumulator[];
  readonly tile: Tile;
  /** Extents of batch, rows and columns. */
  readonly extents: readonly [number, number, number];
  /** Columns come in vectors of four. */
  readonly wide: boolean;
  /** Loads of reading operands in a way: the same for every tile. */
  readonly loads: Map<string, number>;
  /** A turn of the loop takes four contracted elements, where their number allows. */
  readonly unrolled: boolean;
}

/** A contraction before its tile is chosen. */
export type Parts = Omit<Contraction, "tile" | "unrolled">;

const known = new WeakMap<ScheduleContext, Parts>();

/** What there is to contract in the unit of a context; all schedules of contractions begin with it. */
export function partsOf(c: ScheduleContext): Parts {
  const before = known.get(c);
  if (before !== undefined) return before;
  const { graph, unit, liveness } = c;
  const einsums = unit.members.filter((id) => graph.nodes[id]!.op === "einsum");
  const form = contractionForm(graph, einsums[0]!, insideAxis(c));
  const size = (axes: readonly number[]): number => sizeOf(axes.map((axis) => unit.shape[axis]!));
  const extents = [size(form.batch), size(form.rows), size(form.columns)] as const;
  const parts: Parts = {
    c,
    form,
    accumulators: accumulatorsOf(graph, liveness, einsums),
    extents,
    wide: extents[2] % 4 === 0,
    loads: new Map(),
  };
  known.set(c, parts);
  return parts;
}

/** Contracted elements of every product. */
export const lengthsOf = ({ c, accumulators }: Parts): number[] =>
  accumulators.flatMap((a) => a.einsums).map((einsum) => sizeOf(contractionForm(c.graph, einsum, insideAxis(c)).inner));

/** The accumulators in words. */
export function describe({ accumulators }: Parts): string {
  const sums = accumulators.map((a) => `${a.einsums.length} product${a.einsums.length > 1 ? "s" : ""}`);
  return `accumulators of ${sums.join(", ")}`;
}

/** Axis indices of a flat position along some axes of the result. */
export const along = (k: Parts, axes: readonly number[], position: Affine): readonly Affine[] =>
  delinearize(
    position,
    axes.map((axis) => k.c.unit.shape[axis]!),
  );

/** Which tile a flat number is: column tiles inside, batches outside. `counts`: batches, tiles down, tiles across. */
export function tileAt(
  k: Parts,
  flat: Expr,
  counts: readonly [number, number, number],
): Readonly<Record<"batch" | "row" | "column", Affine>> {
  const { emitter } = k.c;
  const [down, across] = [sizeLiteral(counts[1], "tiles down"), sizeLiteral(counts[2], "tiles across")];
  const column = emitter.index(binary("%", flat, across), counts[2]);
  const over = emitter.bind({ expr: binary("/", flat, across), depth: emitter.depth }).expr;
  const row = emitter.index(binary("%", over, down), counts[1]);
  const batch = emitter.index(binary("/", over, down), counts[0]);
  return { batch, row, column };
}

/** The position, or the last one where it is outside. */
export function clamped(k: Parts, position: Affine, extent: number, family: string): Affine {
  if (position.hi < extent) return position;
  const { emitter } = k.c;
  const args = [emitter.address(position).expr, sizeLiteral(extent - 1, `last ${family}`)];
  return emitter.index({ kind: "op", op: "minimum", args, type: "u32", lanes: 1 }, extent, family);
}

/** Where a tile is: indices of the batch axes, of every row and of every column (or vector of columns, by the lane). */
export interface TilePlace {
  readonly batch: readonly Affine[];
  readonly rows: readonly (readonly Affine[])[];
  /** Four rows each, by the lane; used where `rowsGroup`. */
  readonly rowGroups: readonly (readonly Affine[])[];
  readonly columns: readonly (readonly Affine[])[];
  /** Index of a row, or of a column or vector of columns, that is not known while the text is written. */
  rowIndex(i: Affine): readonly Affine[];
  columnIndex(j: Affine): readonly Affine[];
  /** Positions along the three kinds of axes of the first element. */
  readonly tile: { readonly batch: Affine; readonly row: Affine; readonly column: Affine };
}

/** Read four at once along the contracted axis, along the tile's own axis (rows; columns are in vectors anyway), or one by one. */
type Along = "inner" | "own" | "none";

/** The axis that is innermost in memory, of more than one element. */
export function insideAxis(c: ScheduleContext): number {
  return [...c.order].reverse().find((axis) => c.unit.shape[axis]! > 1) ?? c.unit.shape.length - 1;
}

/** Whether rows can be read four at a time. */
export const rowsGroup = ({ tile, extents }: Contraction): boolean => tile.rows % 4 === 0 && extents[1] % 4 === 0;

/** Columns of a tile, or vectors of four. */
export const vectorsOf = ({ tile, wide }: Contraction): number => (wide ? tile.columns / 4 : tile.columns);

/** Index in the domain of the unit, from that of a row and a column. */
export function domainIndexOf(
  k: Parts,
  place: Pick<TilePlace, "batch">,
  row: readonly Affine[],
  column: readonly Affine[],
): Affine[] {
  const index: Affine[] = [];
  k.form.batch.forEach((axis, n) => {
    index[axis] = place.batch[n]!;
  });
  k.form.rows.forEach((axis, n) => {
    index[axis] = row[n]!;
  });
  k.form.columns.forEach((axis, n) => {
    index[axis] = column[n]!;
  });
  return index;
}

/** One einsum of the sum: how its operands are indexed and read. */
export interface Segment extends Operands, Ways {}

interface Ways {
  readonly row: Along;
  readonly column: Along;
  /** Contracted elements per turn of the loop. */
  readonly step: number;
  /** Loads of a tile per contracted element. */
  loads(): number;
}

interface Operands {
  readonly form: ContractionForm;
  readonly length: number;
  rowIndex(i: number, inner: Affine, grouped?: boolean): readonly Affine[];
  columnIndex(j: number, inner: Affine): readonly Affine[];
}

/** Index of an operand, from that of the result and the position along what is contracted. */
export function operandIndex(
  form: ContractionForm,
  axes: readonly number[],
  domain: readonly Affine[],
  inner: Affine,
): readonly Affine[] {
  const contracted = delinearize(inner, form.inner);
  return axes.map((axis) => (axis >= 0 ? domain[axis]! : contracted[-1 - axis]!));
}

export function segmentOf(k: Contraction, einsum: number, place: TilePlace): Segment {
  const operands = operandsOf(k, einsum, place);
  return { ...operands, ...chooseWays(k, einsum, operands) };
}

/** A segment whose operands are read one contracted element after the other. */
export const plainSegmentOf = (k: Contraction, einsum: number, place: TilePlace): Omit<Segment, "loads"> => ({
  ...operandsOf(k, einsum, place),
  row: "none",
  column: "none",
  step: 1,
});

function operandsOf(k: Contraction, einsum: number, place: TilePlace): Operands {
  const form = contractionForm(k.c.graph, einsum, insideAxis(k.c));
  const length = sizeOf(form.inner);
  const domainOf = (row: readonly Affine[], column: readonly Affine[]): Affine[] =>
    domainIndexOf(k, place, row, column);
  return {
    form,
    length,
    rowIndex: (i: number, inner: Affine, grouped = false) =>
      operandIndex(
        form,
        form.rowOperand.axes,
        domainOf(grouped ? place.rowGroups[Math.floor(i / 4)]! : place.rows[i]!, place.columns[0]!),
        inner,
      ),
    columnIndex: (j: number, inner: Affine) =>
      operandIndex(form, form.columnOperand.axes, domainOf(place.rows[0]!, place.columns[j]!), inner),
  };
}

/** Index of column `at` of a vector of columns: the lane is taken from the column and given to the contracted element. */
export function oneColumn(segment: Operands, j: number, at: number, inner: Affine): readonly Affine[] {
  const [own, both] = [segment.columnIndex(j, constant(0)), segment.columnIndex(j, inner)];
  return own.map((a, axis) => (hasLane(a) ? atLane(a, at) : both[axis]!));
}

/** How each operand is read: the fewest loads for a tile. */
function chooseWays(k: Contraction, einsum: number, operands: Operands): Ways {
  const { length, form } = operands;
  const inner = scale(variable("~inner", Math.ceil(length / 4), u32(0), 0), 4);
  const fours = add(inner, lane);
  const loads = (operand: "rowOperand" | "columnOperand", way: Along, index: () => readonly Affine[]): number =>
    remembered(k.loads, [einsum, operand, way, k.wide].join(), () => probeOf(k.c).count([form[operand].node], index()));
  const { rows, columns } = k.tile;
  const unrolled = k.unrolled && length % 4 === 0;
  const row = fewest({
    none: () => rows * loads("rowOperand", "none", () => operands.rowIndex(0, inner)),
    own: rowsGroup(k) && (() => (rows / 4) * loads("rowOperand", "own", () => operands.rowIndex(0, inner, true))),
    inner: unrolled && (() => (rows / 4) * loads("rowOperand", "inner", () => operands.rowIndex(0, fours))),
  });
  const column = fewest({
    none: () => (k.wide ? columns / 4 : columns) * loads("columnOperand", "none", () => operands.columnIndex(0, inner)),
    own: false,
    inner: unrolled && (() => (columns / 4) * loads("columnOperand", "inner", () => oneColumn(operands, 0, 0, fours))),
  });
  return { row: row.way, column: column.way, step: unrolled ? 4 : 1, loads: () => row.loads() + column.loads() };
}

/** Where there is but one way its loads are counted when they are asked for. */
function fewest(ways: Readonly<Record<Along, false | (() => number)>>): { way: Along; loads: () => number } {
  const possible = (["none", "own", "inner"] as const).flatMap((way) => {
    const loads = ways[way];
    return loads === false ? [] : [{ way, loads: once(loads) }];
  });
  return possible.reduce((best, next) => (next.loads() < best.loads() ? next : best));
}
