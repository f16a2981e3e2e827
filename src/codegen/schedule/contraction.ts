/**
 * Contractions by register tiles: an invocation owns a tile of rows x columns of the result, goes through the contracted elements of every
 * segment (an einsum of the sum) and adds outer products. Operands are read through the emitter, so a prologue (a view, an expanded bf16
 * weight, a lookup) costs nothing extra, and the epilogue is the value of the stored members at the tile's elements.
 *
 * Operands are read four elements at once along the axis that needs the fewest loads: the contracted one, or the tile's own. Columns are
 * kept in vectors of four when their number allows. Ragged tiles are clamped: what lies outside repeats the last row or column and stores
 * the same number at the same place.
 */
import { sizeOf } from "../../ir/types.ts";
import { type Affine, add, atLane, constant, delinearize, hasLane, scale } from "../affine.ts";
import { Emitter, lane, type Val } from "../emitter.ts";
import { type ContractionForm, contractionForm } from "../forms.ts";
import { type Accumulator, accumulatorsOf } from "../fuse.ts";
import { binary, type Expr, f32, lanesOf, type Statement, sizeLiteral, u32 } from "../kernel.ts";
import { type Body, opNames, perInvocation, type ScheduleContext } from "./body.ts";
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
}

/** Where a tile is: indices of the batch axes, of every row and of every column (or vector of columns, by the lane). */
interface Place {
  readonly batch: readonly Affine[];
  readonly rows: readonly (readonly Affine[])[];
  readonly columns: readonly (readonly Affine[])[];
}

type Along = "inner" | "own" | "none";

export function scheduleContraction(c: ScheduleContext): Body {
  const { graph, unit, emitter, target, uses } = c;
  const einsums = unit.members.filter((id) => graph.nodes[id]!.op === "einsum");
  const accumulators = accumulatorsOf(graph, uses, einsums);
  const form = contractionForm(graph, einsums[0]!);
  const size = (axes: readonly number[]): number => sizeOf(axes.map((axis) => unit.shape[axis]!));
  const extents = [size(form.batch), size(form.rows), size(form.columns)] as const;
  const wide = extents[2] % 4 === 0;
  const tile = chooseTile(target, extents, accumulators.length, wide);
  const k: Contraction = { c, form, accumulators, tile, extents, wide };
  const tiles = [extents[0], Math.ceil(extents[1] / tile.rows), Math.ceil(extents[2] / tile.columns)] as const;
  const workgroups = perInvocation(c, tiles[0] * tiles[1] * tiles[2], (at) => emitTile(k, tiles, at));
  const segments = accumulators.map((a) => `${a.einsums.length} product${a.einsums.length > 1 ? "s" : ""}`).join(", ");
  const doc = [
    `contraction, ${tile.rows} x ${tile.columns} elements per invocation, accumulators of ${segments}: ${opNames(c)}`,
  ];
  const name = `contract_${tile.rows}x${tile.columns}`;
  return { name, doc, statements: emitter.body, tensors: emitter.tensors, workgroups, shared: [] };
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
  const columnTile = tiles[2] === 1 ? constant(0) : part(flat, tiles[2]);
  const over = tiles[2] === 1 ? flat : binary("/", flat, sizeLiteral(tiles[2]));
  const rowTile = tiles[1] === 1 ? constant(0) : part(over, tiles[1]);
  const batch =
    tiles[0] === 1
      ? constant(0)
      : emitter.index(tiles[1] === 1 ? over : binary("/", over, sizeLiteral(tiles[1])), tiles[0]);
  const clamped = (a: Affine, extent: number): Affine => {
    if (a.hi < extent) return a;
    const last = sizeLiteral(extent - 1);
    return emitter.index(
      { kind: "op", op: "minimum", args: [emitter.address(a).expr, last], type: "u32", lanes: 1 },
      extent,
    );
  };
  const run = (count: number): number[] => Array.from({ length: count }, (_unused, i) => i);
  const rows = run(tile.rows).map((i) => clamped(add(scale(rowTile, tile.rows), constant(i)), extents[1]));
  const vectors = k.wide ? tile.columns / 4 : tile.columns;
  const columns = run(vectors).map((j) => {
    const position = clamped(add(scale(columnTile, vectors), constant(j)), k.wide ? extents[2] / 4 : extents[2]);
    return k.wide ? add(scale(position, 4), lane) : position;
  });
  return {
    batch: along(k, k.form.batch, batch),
    rows: rows.map((row) => along(k, k.form.rows, row)),
    columns: columns.map((column) => along(k, k.form.columns, column)),
  };
}

/** Index in the domain of the unit. */
function domainIndex(k: Contraction, place: Place, i: number, j: number): Affine[] {
  const index: Affine[] = [];
  k.form.batch.forEach((axis, n) => {
    index[axis] = place.batch[n]!;
  });
  k.form.rows.forEach((axis, n) => {
    index[axis] = place.rows[i]![n]!;
  });
  k.form.columns.forEach((axis, n) => {
    index[axis] = place.columns[j]![n]!;
  });
  return index;
}

/** Adds one einsum to the accumulators. */
function emitSegment(k: Contraction, einsum: number, place: Place, names: readonly (readonly string[])[]): void {
  const { emitter } = k.c;
  const form = contractionForm(k.c.graph, einsum);
  const length = sizeOf(form.inner);
  const operand = (side: ContractionForm["rowOperand"], i: number, j: number, inner: Affine): readonly Affine[] => {
    const domain = domainIndex(k, place, i, j);
    const contracted = delinearize(inner, form.inner);
    return side.axes.map((axis) => (axis >= 0 ? domain[axis]! : contracted[-1 - axis]!));
  };
  const rowIndex = (i: number, inner: Affine): readonly Affine[] => operand(form.rowOperand, i, 0, inner);
  const columnIndex = (j: number, inner: Affine): readonly Affine[] => operand(form.columnOperand, 0, j, inner);
  const ways = chooseWays(k, form, length, rowIndex, columnIndex);
  const step = ways.step;
  emitter.loop(u32(0), sizeLiteral(length / step), u32(1), length / step, (at) => {
    const first = scale(at, step);
    const row = rowReader(k, form.rowOperand.node, ways.row, first, rowIndex);
    const column = columnReader(k, form.columnOperand.node, ways.column, first, columnIndex);
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

function rowReader(
  k: Contraction,
  node: number,
  way: Along,
  first: Affine,
  index: (i: number, inner: Affine) => readonly Affine[],
): Reader {
  const { emitter } = k.c;
  return (i, kk) => {
    if (way === "inner") return component(emitter.bind(emitter.value(node, index(i, add(first, lane)))).expr, kk);
    return emitter.value(node, index(i, add(first, constant(kk)))).expr;
  };
}

function columnReader(
  k: Contraction,
  node: number,
  way: Along,
  first: Affine,
  index: (j: number, inner: Affine) => readonly Affine[],
): Reader {
  const { emitter } = k.c;
  const atColumn = (j: number, at: number, inner: Affine): readonly Affine[] =>
    index(j, constant(0)).map((a, axis) => {
      const own = index(j, inner)[axis]!;
      return hasLane(a) ? atLane(a, at) : own;
    });
  const made = new Map<string, Expr>();
  return (j, kk) => {
    const known = made.get(`${j} ${kk}`);
    if (known !== undefined) return known;
    let expr: Expr;
    const inner = add(first, constant(kk));
    if (way === "inner" && k.wide) {
      const parts = [0, 1, 2, 3].map((at) =>
        component(emitter.bind(emitter.value(node, atColumn(j, at, add(first, lane)))).expr, kk),
      );
      expr = { kind: "vector", parts, type: "f32", lanes: 4 };
    } else if (way === "inner") {
      return component(emitter.bind(emitter.value(node, index(j, add(first, lane)))).expr, kk);
    } else {
      expr = emitter.value(node, index(j, inner)).expr;
    }
    const bound = emitter.bind({ expr: k.wide ? emitter.spread(expr) : expr, depth: emitter.depth }).expr;
    made.set(`${j} ${kk}`, bound);
    return bound;
  };
}

/** How each operand is read, and how many contracted elements one turn of the loop takes. */
function chooseWays(
  k: Contraction,
  form: ContractionForm,
  length: number,
  rowIndex: (i: number, inner: Affine) => readonly Affine[],
  columnIndex: (j: number, inner: Affine) => readonly Affine[],
): { readonly row: Along; readonly column: Along; readonly step: number } {
  const loads = (node: number, index: (inner: Affine) => readonly Affine[]): number => {
    const probe = new Emitter(k.c.graph, k.c.emitter.isInMemory, k.c.uses);
    probe.loop(u32(0), u32(1), u32(1), length, (at) => {
      probe.value(node, index(length % 4 === 0 ? scale({ ...at, hi: length / 4 - 1 }, 4) : at));
    });
    return countLoads(probe.body);
  };
  if (length % 4 !== 0) return { row: "none", column: "none", step: 1 };
  const [i, j] = [0, 0];
  const rowInner = loads(form.rowOperand.node, (inner) => rowIndex(i, add(inner, lane)));
  const rowPlain = loads(form.rowOperand.node, (inner) => rowIndex(i, inner));
  const columnPlain = loads(form.columnOperand.node, (inner) => columnIndex(j, inner));
  const columnInner = loads(form.columnOperand.node, (inner) =>
    columnIndex(j, constant(0)).map((a, axis) => (hasLane(a) ? atLane(a, 0) : columnIndex(j, add(inner, lane))[axis]!)),
  );
  const row: Along = rowInner < 4 * rowPlain ? "inner" : "none";
  const column: Along = columnInner * (k.wide ? 4 : 1) < 4 * columnPlain ? "inner" : "none";
  return { row, column, step: row === "inner" || column === "inner" ? 4 : 1 };
}

function countLoads(body: readonly Statement[]): number {
  return (JSON.stringify(body).match(/"kind":"load"/g) ?? []).length;
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
      for (const id of unit.stored) emitter.store(id, index, emitter.value(id, index).expr);
    });
  });
}
