/**
 * Contractions by register tiles: an invocation owns a tile of rows x columns of the result, goes through the contracted elements of every
 * segment (an einsum of the sum) and adds outer products. Operands are read through the emitter, so a prologue (a view, an expanded bf16
 * weight, a lookup) costs nothing extra, and the epilogue is the value of the stored members at the tile's elements.
 *
 * Operands are read four elements at once along the axis that needs the fewest loads: the contracted one, or the tile's own. Columns are
 * kept in vectors of four when their number allows. Ragged tiles are clamped: what lies outside repeats the last row or column and stores
 * the same number at the same place.
 */
import { opRecord } from "../../ir/registry.ts";
import { sizeOf } from "../../ir/types.ts";
import { type Affine, add, atLane, constant, delinearize, hasLane, scale } from "../affine.ts";
import { lane, type Val } from "../emitter.ts";
import { type ContractionForm, contractionForm } from "../forms.ts";
import { type Accumulator, accumulatorsOf } from "../fuse.ts";
import { binary, type Expr, f32, lanesOf, sizeLiteral, u32 } from "../kernel.ts";
import { countLoads } from "../loads.ts";
import { type Body, blockIndex, opNames, perInvocation, probeOf, type ScheduleContext } from "./body.ts";
import { chooseTile, type Tile } from "./tile.ts";

interface Contraction {
  readonly c: ScheduleContext;
  readonly form: ContractionForm;
  readonly accumulators: readonly Accumulator[];
  readonly tile: Tile;
  /** Extents of batch, rows and columns. */
  readonly extents: readonly [number, number, number];
  /** Columns come in vectors of four. */
  readonly wide: boolean;
  /** A turn of the loop takes four contracted elements, where their number allows. */
  readonly unrolled: boolean;
}

/** Where a tile is: indices of the batch axes, of every row and of every column (or vector of columns, by the lane). */
interface Place {
  readonly batch: readonly Affine[];
  readonly rows: readonly (readonly Affine[])[];
  /** Four rows each, by the lane; used where `rowsGroup`. */
  readonly rowGroups: readonly (readonly Affine[])[];
  readonly columns: readonly (readonly Affine[])[];
  /** Positions along the three kinds of axes of the first element. */
  readonly tile: { readonly batch: Affine; readonly row: Affine; readonly column: Affine };
}

/** Read four at once along the contracted axis, along the tile's own axis (rows; columns are in vectors anyway), or one by one. */
type Along = "inner" | "own" | "none";

/** Elements of a tile: more would spill registers. */
const largestTile = 64;
const unrolledTile = 16;
/** Ops per element from which the text of an epilogue is longer than that of the loop. */
const longEpilogue = 5;
/** How much slower an unrolled loop is than its loads say: measured on software drivers. */
const unrollCost = 1.5;

export function scheduleContraction(c: ScheduleContext): Body {
  const { graph, unit, emitter, uses } = c;
  emitter.divides = "by words";
  const einsums = unit.members.filter((id) => graph.nodes[id]!.op === "einsum");
  const accumulators = accumulatorsOf(graph, uses, einsums);
  const form = contractionForm(graph, einsums[0]!, insideAxis(c));
  const size = (axes: readonly number[]): number => sizeOf(axes.map((axis) => unit.shape[axis]!));
  const extents = [size(form.batch), size(form.rows), size(form.columns)] as const;
  const wide = extents[2] % 4 === 0;
  const k = withTile({ c, form, accumulators, extents, wide });
  const { tile } = k;
  const tiles = tilesOf(k);
  const workgroups = perInvocation(c, tiles[0] * tiles[1] * tiles[2], (at) => emitTile(k, tiles, at));
  const segments = accumulators.map((a) => `${a.einsums.length} product${a.einsums.length > 1 ? "s" : ""}`).join(", ");
  const doc = [
    `contraction, ${tile.rows} x ${tile.columns} elements per invocation, accumulators of ${segments}: ${opNames(c)}`,
  ];
  const name = `contract_${tile.rows}x${tile.columns}`;
  return { name, doc, statements: emitter.body, tensors: emitter.tensors, workgroups, shared: [] };
}

/**
 * Chooses the tile, and whether a turn of the loop takes four contracted elements: that lets operands be read along the contracted axis,
 * but the text is four times as long, so that the tile is smaller. The fewer loads per product win.
 */
function withTile(parts: Omit<Contraction, "tile" | "unrolled">): Contraction {
  const { c, extents, accumulators, wide } = parts;
  const variant = (unrolled: boolean): { k: Contraction; cost: number } => {
    const largest = epilogueOps(c) > longEpilogue ? largestTile / 2 : largestTile;
    const tile = chooseTile(c.target, extents, accumulators.length, wide, unrolled ? unrolledTile : largest);
    const k: Contraction = { ...parts, tile, unrolled };
    const probe = probeOf(c);
    const trial: Contraction = { ...k, c: { ...c, emitter: probe } };
    const place = placeOf(trial, tilesOf(trial), probe.index(blockIndex, Number.MAX_SAFE_INTEGER));
    const segments = accumulators.flatMap((a) => a.einsums).map((einsum) => segmentOf(trial, einsum, place));
    const loads = segments.reduce((sum, s) => sum + s.length * s.loads, 0);
    return { k, cost: (loads * (unrolled ? unrollCost : 1)) / (tile.rows * tile.columns) };
  };
  const [plain, unrolled] = [variant(false), variant(true)];
  return unrolled.cost < plain.cost ? unrolled.k : plain.k;
}

/** Pointwise ops that are done for every element of the tile. */
function epilogueOps(c: ScheduleContext): number {
  const seen = new Set<number>();
  const visit = (id: number): void => {
    if (seen.has(id) || c.graph.nodes[id]!.op === "einsum" || c.emitter.isInMemory(id)) return;
    seen.add(id);
    c.graph.nodes[id]!.inputs.forEach(visit);
  };
  c.unit.stored.forEach(visit);
  return [...seen].filter((id) => opRecord(c.graph.nodes[id]!.op).opClass === "pointwise").length;
}

const tilesOf = ({ extents, tile }: Contraction): readonly [number, number, number] => [
  extents[0],
  Math.ceil(extents[1] / tile.rows),
  Math.ceil(extents[2] / tile.columns),
];

/** The axis that is innermost in memory, of more than one element. */
function insideAxis(c: ScheduleContext): number {
  return [...c.order].reverse().find((axis) => c.unit.shape[axis]! > 1) ?? c.unit.shape.length - 1;
}

/** Axis indices of a flat position along some axes of the result. */
const along = (k: Contraction, axes: readonly number[], position: Affine): readonly Affine[] =>
  delinearize(
    position,
    axes.map((axis) => k.c.unit.shape[axis]!),
  );

function emitTile(k: Contraction, tiles: readonly [number, number, number], at: Affine): void {
  const place = placeOf(k, tiles, at);
  const names = k.accumulators.map(() => place.rows.map(() => place.columns.map(() => k.c.emitter.fresh("c"))));
  const zero = k.wide ? k.c.emitter.spread(f32(0)) : f32(0);
  for (const name of names.flat(2)) k.c.emitter.push({ kind: "var", name, value: zero });
  k.accumulators.forEach((accumulator, a) => {
    for (const einsum of accumulator.einsums) emitSegment(k, einsum, place, names[a]!);
  });
  emitResults(k, place, names);
}

function placeOf(k: Contraction, tiles: readonly [number, number, number], at: Affine): Place {
  const { emitter } = k.c;
  const { tile, extents } = k;
  const part = (of: Expr, count: number): Affine => emitter.index(binary("%", of, sizeLiteral(count)), count);
  const flat = emitter.address(at).expr;
  const columnTile = part(flat, tiles[2]);
  const over = emitter.bind({ expr: binary("/", flat, sizeLiteral(tiles[2])), depth: emitter.depth }).expr;
  const rowTile = part(over, tiles[1]);
  const batch = emitter.index(binary("/", over, sizeLiteral(tiles[1])), tiles[0]);
  const clamped = (a: Affine, extent: number): Affine => {
    if (a.hi < extent) return a;
    const last = sizeLiteral(extent - 1);
    return emitter.index(
      { kind: "op", op: "minimum", args: [emitter.address(a).expr, last], type: "u32", lanes: 1 },
      extent,
    );
  };
  const run = (count: number): number[] => Array.from({ length: count }, (_unused, i) => i);
  const groups = run(k.tile.rows / 4).map((g) =>
    clamped(add(scale(rowTile, tile.rows / 4), constant(g)), extents[1] / 4),
  );
  const rows = run(tile.rows).map((i) =>
    rowsGroup(k)
      ? add(scale(groups[Math.floor(i / 4)]!, 4), constant(i % 4))
      : clamped(add(scale(rowTile, tile.rows), constant(i)), extents[1]),
  );
  const vectors = k.wide ? tile.columns / 4 : tile.columns;
  const columns = run(vectors).map((j) => {
    const position = clamped(add(scale(columnTile, vectors), constant(j)), k.wide ? extents[2] / 4 : extents[2]);
    return k.wide ? add(scale(position, 4), lane) : position;
  });
  return {
    batch: along(k, k.form.batch, batch),
    rows: rows.map((row) => along(k, k.form.rows, row)),
    rowGroups: groups.map((group) => along(k, k.form.rows, add(scale(group, 4), lane))),
    columns: columns.map((column) => along(k, k.form.columns, column)),
    tile: { batch, row: rows[0]!, column: columns[0]! },
  };
}

/** Whether rows can be read four at a time. */
const rowsGroup = ({ tile, extents }: Contraction): boolean => tile.rows % 4 === 0 && extents[1] % 4 === 0;

/** Index in the domain of the unit of a row (or of the group of four that it is in) and a column. */
function domainIndex(k: Contraction, place: Place, i: number, j: number, grouped = false): Affine[] {
  const index: Affine[] = [];
  k.form.batch.forEach((axis, n) => {
    index[axis] = place.batch[n]!;
  });
  k.form.rows.forEach((axis, n) => {
    index[axis] = grouped ? place.rowGroups[Math.floor(i / 4)]![n]! : place.rows[i]![n]!;
  });
  k.form.columns.forEach((axis, n) => {
    index[axis] = place.columns[j]![n]!;
  });
  return index;
}

/** One einsum of the sum: how its operands are indexed and read. */
interface Segment extends Operands {
  readonly row: Along;
  readonly column: Along;
  /** Contracted elements per turn of the loop. */
  readonly step: number;
  /** Loads of a tile per contracted element. */
  readonly loads: number;
}

interface Operands {
  readonly form: ContractionForm;
  readonly length: number;
  rowIndex(i: number, inner: Affine, grouped?: boolean): readonly Affine[];
  columnIndex(j: number, inner: Affine): readonly Affine[];
}

function segmentOf(k: Contraction, einsum: number, place: Place): Segment {
  const form = contractionForm(k.c.graph, einsum, insideAxis(k.c));
  const length = sizeOf(form.inner);
  const operand = (axes: readonly number[], domain: readonly Affine[], inner: Affine): readonly Affine[] => {
    const contracted = delinearize(inner, form.inner);
    return axes.map((axis) => (axis >= 0 ? domain[axis]! : contracted[-1 - axis]!));
  };
  const parts = {
    form,
    length,
    rowIndex: (i: number, inner: Affine, grouped = false) =>
      operand(form.rowOperand.axes, domainIndex(k, place, i, 0, grouped), inner),
    columnIndex: (j: number, inner: Affine) => operand(form.columnOperand.axes, domainIndex(k, place, 0, j), inner),
  };
  return { ...parts, ...chooseWays(k, parts) };
}

/** Adds one einsum to the accumulators. */
function emitSegment(k: Contraction, einsum: number, place: Place, names: readonly (readonly string[])[]): void {
  const { emitter } = k.c;
  const segment = segmentOf(k, einsum, place);
  const { step } = segment;
  const turns = segment.length / step;
  emitter.loop(u32(0), sizeLiteral(turns), u32(1), turns, (at) => {
    const first = scale(at, step);
    const { batch, row: rowAt, column: columnAt } = place.tile;
    const row = rowReader(k, segment, first, [batch, rowAt, at]);
    const column = columnReader(k, segment, first, [batch, columnAt, at]);
    for (let kk = 0; kk < step; kk++) {
      for (let i = 0; i < place.rows.length; i++) {
        for (let j = 0; j < place.columns.length; j++) accumulate(k, names[i]![j]!, row(i, kk), column(j, kk));
      }
    }
  });
}

function accumulate(k: Contraction, name: string, a: Expr, b: Expr): void {
  const sum: Expr = { kind: "variable", name, type: "f32", lanes: k.wide ? 4 : 1 };
  k.c.emitter.push({ kind: "assign", name, value: binary("+", sum, binary("*", a, b)) });
}

const component = (e: Expr, at: number): Expr =>
  lanesOf(e) === 4 ? { kind: "component", of: e, at, type: e.type } : e;

type Reader = (element: number, kk: number) => Expr;

function rowReader(k: Contraction, segment: Segment, first: Affine, pads: readonly Affine[]): Reader {
  const { emitter } = k.c;
  const { node } = segment.form.rowOperand;
  const read = (index: readonly Affine[]): Expr =>
    emitter.padded(pads, () => emitter.bind(emitter.value(node, index)).expr);
  return (i, kk) => {
    if (segment.row === "inner") return component(read(segment.rowIndex(i, add(first, lane))), kk);
    const inner = add(first, constant(kk));
    return segment.row === "own"
      ? component(read(segment.rowIndex(i, inner, true)), i % 4)
      : read(segment.rowIndex(i, inner));
  };
}

function columnReader(k: Contraction, segment: Segment, first: Affine, pads: readonly Affine[]): Reader {
  const { emitter } = k.c;
  const { node } = segment.form.columnOperand;
  const made = new Map<string, Expr>();
  const read = (index: readonly Affine[]): Expr =>
    emitter.padded(pads, () => emitter.bind(emitter.value(node, index)).expr);
  return (j, kk) => {
    const key = `${j} ${kk}`;
    const known = made.get(key);
    if (known !== undefined) return known;
    const expr =
      segment.column === "inner"
        ? innerColumns(k, segment, j, first, kk, read)
        : read(segment.columnIndex(j, add(first, constant(kk))));
    const bound = emitter.bind({ expr: k.wide ? emitter.spread(expr) : expr, depth: emitter.depth }).expr;
    made.set(key, bound);
    return bound;
  };
}

/** A column (or four) of which four contracted elements were read at once. */
function innerColumns(
  k: Contraction,
  segment: Segment,
  j: number,
  first: Affine,
  kk: number,
  read: (index: readonly Affine[]) => Expr,
): Expr {
  const inner = add(first, lane);
  if (!k.wide) return component(read(segment.columnIndex(j, inner)), kk);
  const parts = [0, 1, 2, 3].map((at) => component(read(oneColumn(segment, j, at, inner)), kk));
  return { kind: "vector", parts, type: "f32", lanes: 4 };
}

/** Index of column `at` of a vector of columns: the lane is taken from the column and given to the contracted element. */
function oneColumn(segment: Operands, j: number, at: number, inner: Affine): readonly Affine[] {
  const [own, both] = [segment.columnIndex(j, constant(0)), segment.columnIndex(j, inner)];
  return own.map((a, axis) => (hasLane(a) ? atLane(a, at) : both[axis]!));
}

/** How each operand is read: the fewest loads for a tile. */
function chooseWays(k: Contraction, operands: Operands): Pick<Segment, "row" | "column" | "step" | "loads"> {
  const { length, form } = operands;
  const loads = (node: number, index: (inner: Affine) => readonly Affine[]): number => {
    const probe = probeOf(k.c);
    const body = probe.nested(k.c.emitter.depth, () => {
      probe.loop(u32(0), u32(1), u32(1), Math.ceil(length / 4), (at) =>
        probe.bind(probe.value(node, index(scale(at, 4)))),
      );
    });
    return countLoads(body);
  };
  const { rows, columns } = k.tile;
  const [rowNode, columnNode] = [form.rowOperand.node, form.columnOperand.node];
  const unrolled = k.unrolled && length % 4 === 0;
  const never = Number.POSITIVE_INFINITY;
  const row = fewest({
    none: rows * loads(rowNode, (inner) => operands.rowIndex(0, inner)),
    own: rowsGroup(k) ? (rows / 4) * loads(rowNode, (inner) => operands.rowIndex(0, inner, true)) : never,
    inner: unrolled ? (rows / 4) * loads(rowNode, (inner) => operands.rowIndex(0, add(inner, lane))) : never,
  });
  const column = fewest({
    none: (k.wide ? columns / 4 : columns) * loads(columnNode, (inner) => operands.columnIndex(0, inner)),
    own: never,
    inner: unrolled ? (columns / 4) * loads(columnNode, (inner) => oneColumn(operands, 0, 0, add(inner, lane))) : never,
  });
  return { row: row.way, column: column.way, step: unrolled ? 4 : 1, loads: row.loads + column.loads };
}

function fewest(loads: Readonly<Record<Along, number>>): { way: Along; loads: number } {
  const ways: readonly Along[] = ["none", "own", "inner"];
  const way = ways.reduce((best, next) => (loads[next] < loads[best] ? next : best));
  return { way, loads: loads[way] };
}

/** The stored members at every element of the tile. */
function emitResults(k: Contraction, place: Place, names: readonly (readonly (readonly string[])[])[]): void {
  const { emitter, unit } = k.c;
  place.rows.forEach((_row, i) => {
    place.columns.forEach((_column, j) => {
      const index = domainIndex(k, place, i, j);
      k.accumulators.forEach((accumulator, a) => {
        const value: Val = {
          expr: { kind: "variable", name: names[a]![i]![j]!, type: "f32", lanes: k.wide ? 4 : 1 },
          depth: emitter.depth,
        };
        emitter.preset(accumulator.root, index, value);
      });
      const { batch, row, column } = place.tile;
      emitter.padded([batch, row, column], () => {
        for (const id of unit.stored) emitter.store(id, index, emitter.value(id, index).expr);
      });
    });
  });
}
