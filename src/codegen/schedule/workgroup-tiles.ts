/**
 * Contractions by workgroup tiles: a workgroup of 8 x 8 invocations owns 32 x 32 elements of the result. Turn by turn it reads a strip of
 * both operands into workgroup memory, every number once, and every invocation adds outer products of what is there to its 4 x 4 elements.
 * Operands are read through the emitter and results are written as with register tiles, so prologues and epilogues are the same.
 *
 * Neighbouring invocations read neighbouring numbers: along the operand's own axis where its numbers are in a row there, else along what is
 * contracted. Tiles that reach over the edge read the last rows again and store nothing there.
 */

import { sizeOf } from "../../ir/types.ts";
import { type Affine, add, delinearize, element, scale, variable } from "../emit/affine.ts";
import { lane } from "../emit/emitter.ts";
import { type ContractionForm, contractionForm } from "../fuse/contraction-form.ts";
import { binary, type Expr, type SharedArray, sizeLiteral, u32 } from "../kernel/kernel.ts";
import {
  type Body,
  blockIndex,
  bodyOf,
  type Estimate,
  localIndex,
  opNames,
  probeOf,
  type Schedule,
  type ScheduleContext,
} from "./body.ts";
import { loopOfSums } from "./long-sums.ts";
import { emitResults, run } from "./results.ts";
import {
  along,
  type Contraction,
  clamped,
  describe,
  domainIndexOf,
  insideAxis,
  lengthsOf,
  operandIndex,
  type Parts,
  partsOf,
  type TilePlace,
  tileAt,
} from "./segment.ts";
import { accumulate, sumsOf, tileSums } from "./tile-sums.ts";

/** Rows and columns of a workgroup's tile, of an invocation's, and invocations along each. */
const side = 32;
const own = 4;
const team = side / own;
const workgroup = team * team;
/** Depths of a strip, the largest first. */
const depths = [16, 8, 4];

/** The depth of the strips of one product: what divides the length. */
const depthOf = (length: number): number | undefined => depths.find((depth) => length % depth === 0);

const formOf = (parts: Parts, einsum: number): ContractionForm =>
  contractionForm(parts.c.graph, einsum, insideAxis(parts.c));

const strip = depths[0]! * team;

export const workgroupTiles: Schedule = {
  name: "workgroup tiles",
  form: "contraction",
  // Two strips of vectors of four.
  needs: { workgroup, workgroupBytes: 2 * strip * 16 },
  estimate,
  emit,
};

/** Where the result is cut into enough whole tiles, and every product into whole strips: every number of a strip is loaded once for the tile. */
function estimate(c: ScheduleContext): Estimate | undefined {
  const parts = partsOf(c);
  const [batch, rows, columns] = parts.extents;
  if (c.target.tiles !== "workgroups" || rows < side || columns < side || rows % own !== 0 || columns % own !== 0)
    return undefined;
  const tiles = batch * Math.ceil(rows / side) * Math.ceil(columns / side);
  const lengths = lengthsOf(parts);
  if (tiles * workgroup * own < c.target.parallelism || lengths.some((n) => depthOf(n) === undefined)) return undefined;
  return { cost: () => lengths.reduce((sum, n) => sum + (2 * team * n) / (side * side), 0) };
}

function emit(c: ScheduleContext): Body {
  const parts = partsOf(c);
  c.emitter.divides = "by words";
  const { emitter } = c;
  const k: Contraction = { ...parts, wide: true, unrolled: false, tile: { rows: own, columns: own } };
  const tile = tileOf(k);
  const shared = Object.values(arrays).map((name): SharedArray => {
    return { name, type: "f32", lanes: 4, length: strip };
  });
  const names = tileSums(k, [own, 1], (einsum, sums) => emitProduct(k, einsum, tile, sums.flat()));
  emitter.when(tile.inside, () => emitResults(k, tile.place, names));
  const doc = [`contraction, ${side} x ${side} elements per workgroup, ${describe(k)}: ${opNames(c)}`];
  return bodyOf(c, { name: `contract_${side}x${side}`, doc, workgroup, workgroups: tile.workgroups, shared });
}

/** Strips of the operands in workgroup memory: vectors of four rows (columns), contracted element by contracted element. */
const arrays = { rows: "tile_rows", columns: "tile_columns" } as const;

interface WorkgroupTile {
  /** Where the elements of an invocation are. */
  readonly place: TilePlace;
  /** Index of four rows (columns) of the workgroup's tile, by the lane; what lies outside repeats the last four. */
  readonly fours: Readonly<Record<keyof typeof arrays, (group: Affine) => readonly Affine[]>>;
  /** Which four of them are the invocation's. */
  readonly group: Readonly<Record<keyof typeof arrays, Affine>>;
  /** Whether the elements of the invocation are elements of the result. */
  readonly inside: Expr;
  readonly workgroups: number;
}

function tileOf(k: Contraction): WorkgroupTile {
  const { emitter } = k.c;
  const [batches, rows, columns] = k.extents;
  const [down, across] = [Math.ceil(rows / side), Math.ceil(columns / side)];
  const { batch, row: rowTile, column: columnTile } = tileAt(k, blockIndex, [batches, down, across]);
  const group = {
    rows: emitter.index(binary("/", localIndex, u32(team)), team),
    columns: emitter.index(binary("%", localIndex, u32(team)), team),
  };
  const [row, column] = [add(scale(rowTile, team), group.rows), add(scale(columnTile, team), group.columns)];
  const fours = (axes: readonly number[], tile: Affine, extent: number, family: string) => (at: Affine) => {
    const position = add(scale(tile, team), at);
    return along(k, axes, add(scale(clamped(k, position, extent / own, family), own), lane));
  };
  const below = (a: Affine, extent: number): Expr => binary("<", emitter.address(a).expr, sizeLiteral(extent / own));
  const rowIndex = (i: Affine): readonly Affine[] => along(k, k.form.rows, add(scale(row, own), i));
  const columnIndex = along(k, k.form.columns, add(scale(column, own), lane));
  return {
    place: {
      batch: along(k, k.form.batch, batch),
      rows: run(own).map((i) => rowIndex(element("row", i))),
      rowGroups: [],
      columns: [columnIndex],
      rowIndex,
      columnIndex: () => columnIndex,
      tile: { batch, row, column },
    },
    fours: {
      rows: fours(k.form.rows, rowTile, rows, "row"),
      columns: fours(k.form.columns, columnTile, columns, "column"),
    },
    group,
    inside: binary("&&", below(row, rows), below(column, columns)),
    workgroups: batches * down * across,
  };
}

const operandOf = (form: ContractionForm, operand: keyof typeof arrays): ContractionForm["rowOperand"] =>
  operand === "rows" ? form.rowOperand : form.columnOperand;

/** Adds one product to the sums, strip by strip. */
function emitProduct(k: Contraction, einsum: number, tile: WorkgroupTile, sums: readonly string[]): void {
  const { emitter } = k.c;
  const form = formOf(k, einsum);
  const length = sizeOf(form.inner);
  const depth = depthOf(length)!;
  const loop = { from: u32(0), turns: length / depth, step: 1, sums, ...sumsOf(k) };
  loopOfSums(emitter, loop, length, (turn, own) => {
    const first = scale(turn, depth);
    fill(k, form, tile, "rows", first, depth);
    fill(k, form, tile, "columns", first, depth);
    emitter.push({ kind: "barrier" });
    emitter.loop(u32(0), u32(depth), u32(1), depth, (inner) => {
      const read = (operand: keyof typeof arrays): Expr => {
        const strip = binary("*", emitter.address(inner).expr, u32(team));
        const index = binary("+", strip, emitter.address(tile.group[operand]).expr);
        const expr: Expr = { kind: "shared", array: arrays[operand], index, type: "f32", lanes: 4 };
        const { node } = operandOf(form, operand);
        return emitter.bind({ expr, depth: emitter.depth }, node).expr;
      };
      const [row, column] = [read("rows"), read("columns")];
      own.forEach((name, i) => {
        const factor: Expr = { kind: "component", of: row, at: i, type: "f32" };
        accumulate(k, name, factor, column);
      });
    });
    emitter.push({ kind: "barrier" });
  });
}

/** Reads a strip of an operand into workgroup memory, every invocation its share. */
function fill(
  k: Contraction,
  form: ContractionForm,
  tile: WorkgroupTile,
  operand: keyof typeof arrays,
  first: Affine,
  depth: number,
): void {
  const { emitter } = k.c;
  const { node, axes } = operandOf(form, operand);
  const indexOf = (group: Affine, inner: Affine): readonly Affine[] => {
    const four = tile.fours[operand](group);
    const { place } = tile;
    const domain =
      operand === "rows"
        ? domainIndexOf(k, place, four, place.columns[0]!)
        : domainIndexOf(k, place, place.rows[0]!, four);
    return operandIndex(form, axes, domain, add(first, inner));
  };
  const inRow = isOneLoad(k, node, indexOf(element("group", 0), element("inner", 0)));
  const slots = depth * team;
  const share = (n: number): void => {
    const slot = add(variable("local", workgroup, localIndex, 0), scale(element("share", n), workgroup));
    const [inner, group] = inRow ? delinearize(slot, [depth, team]) : delinearize(slot, [team, depth]).reverse();
    const value = emitter.spread(emitter.value(node, indexOf(group!, inner!)).expr);
    const place = inRow ? localIndex : transposed(depth);
    const index = binary("+", place, u32(inRow ? n * workgroup : (n * workgroup) / depth));
    emitter.push({ kind: "store-shared", array: arrays[operand], index, value });
  };
  if (slots < workgroup) emitter.when(binary("<", localIndex, u32(slots)), () => share(0));
  else for (const n of run(slots / workgroup)) share(n);
}

/** Where an invocation stores what it reads, where neighbours read along what is contracted. */
const transposed = (depth: number): Expr =>
  binary("+", binary("*", binary("%", localIndex, u32(depth)), u32(team)), binary("/", localIndex, u32(depth)));

/** Whether four numbers are in a row in memory. */
const isOneLoad = (k: Contraction, node: number, index: readonly Affine[]): boolean =>
  probeOf(k.c).count([node], index) === 1;
