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
import { accumulatorsOf } from "../accumulators.ts";
import { type Affine, add, constant, delinearize, scale } from "../affine.ts";
import { lane, type Val } from "../emitter.ts";
import { contractionForm } from "../forms.ts";
import { binary, type Expr, f32, sizeLiteral, u32 } from "../kernel.ts";
import { type Body, blockIndex, opNames, perInvocation, probeOf, type ScheduleContext } from "./body.ts";
import {
  type Contraction,
  columnReader,
  domainIndex,
  insideAxis,
  type Place,
  rowReader,
  rowsGroup,
  segmentOf,
} from "./segment.ts";
import { chooseTile } from "./tile.ts";

/** Elements of a tile: more would spill registers. */
const largestTile = 64;
const unrolledTile = 16;
/** Products (multiply-adds of scalars) below which a short text, quick to compile, is worth more than a fast kernel, and the tile for it. */
const smallContraction = 500_000;
const smallTile = 16;
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
  const elements = extents[0] * extents[1] * extents[2];
  const variant = (unrolled: boolean, mostElements: number): { k: Contraction; cost: number; products: number } => {
    const tile = chooseTile(c.target, extents, accumulators.length, wide, unrolled ? unrolledTile : mostElements);
    const k: Contraction = { ...parts, tile, unrolled };
    const probe = probeOf(c);
    const trial: Contraction = { ...k, c: { ...c, emitter: probe } };
    const place = placeOf(trial, tilesOf(trial), probe.index(blockIndex, Number.MAX_SAFE_INTEGER));
    const segments = accumulators.flatMap((a) => a.einsums).map((einsum) => segmentOf(trial, einsum, place));
    const loads = segments.reduce((sum, s) => sum + s.length * s.loads, 0);
    const products = elements * segments.reduce((sum, s) => sum + s.length, 0);
    return { k, cost: (loads * (unrolled ? unrollCost : 1)) / (tile.rows * tile.columns), products };
  };
  const plain = variant(false, epilogueOps(c) > longEpilogue ? largestTile / 2 : largestTile);
  if (plain.products < smallContraction && c.target.kind === "cpu")
    return variant(false, smallTile * accumulators.length).k;
  const unrolled = variant(true, unrolledTile);
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
