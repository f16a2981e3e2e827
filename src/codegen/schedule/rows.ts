/**
 * Row units: reductions over the same axes with the pointwise work between and after them. The columns of a row are gone through once per
 * *phase*: a phase reduces everything whose operands are known, the last one writes results as large as the operand.
 */

import { largestFloat32, sizeOf } from "../../ir/types.ts";
import { type Affine, add, delinearize, scale, variable } from "../emit/affine.ts";
import { lane } from "../emit/emitter.ts";
import { keptAxes } from "../fuse/fuse.ts";
import {
  binary,
  type Expr,
  f32,
  lanesOf,
  type SharedArray,
  type Statement,
  sizeLiteral,
  u32,
} from "../kernel/kernel.ts";
import {
  type Body,
  blockIndex,
  bodyOf,
  type Estimate,
  localIndex,
  opNames,
  perInvocation,
  probeOf,
  type Schedule,
  type ScheduleContext,
  shapeOf,
} from "./body.ts";
import { loopOfSums } from "./long-sums.ts";

interface Rows {
  readonly kept: readonly number[];
  readonly columns: number;
  readonly columnShape: readonly number[];
  /** Columns are read four at a time. */
  readonly wide: boolean;
  /** Who shares a row; nobody where an invocation has a row of its own. */
  readonly team: Team | undefined;
}

/** The invocations of a workgroup that share a row. */
export interface Team {
  readonly size: number;
  /** Combines the numbers of all, each its own, to the value of a node; all get the result. */
  meet(own: Expr, reduction: Reduction, node: number): Expr;
}

/** How numbers of a row become one. */
export interface Reduction {
  readonly kind: "sum" | "maximum";
  /** What changes nothing. */
  readonly neutral: Expr;
  combine(a: Expr, b: Expr): Expr;
}

const sum: Reduction = { kind: "sum", neutral: f32(0), combine: (a, b) => binary("+", a, b) };
const maximum: Reduction = {
  kind: "maximum",
  neutral: f32(-largestFloat32),
  combine: (a, b) => ({ kind: "op", op: "maximum", args: [a, b], type: "f32", lanes: lanesOf(a) }),
};

/** Rows and columns of a unit. */
function rowsOf({ unit }: ScheduleContext): { readonly rows: number; readonly columns: number } {
  const columns = sizeOf(unit.axes.map((axis) => unit.shape[axis]!));
  return { rows: sizeOf(unit.shape) / columns, columns };
}

/** An invocation owns a row. Costs of row units are turns of a loop over columns that an invocation does or waits for. */
export const rowsAlone: Schedule = {
  name: "rows alone",
  form: "rows",
  estimate: (c) => ({ cost: () => rowsOf(c).columns }),
  emit: (c) => emitRows(c),
};

/** What a row costs that a team shares; undefined where rows alone keep the device busy. */
export function teamEstimate(c: ScheduleContext, price: number): Estimate | undefined {
  const { rows, columns } = rowsOf(c);
  return rows >= c.tuning.busyRows ? undefined : { cost: () => columns / c.target.workgroup + price };
}

/** A workgroup owns a row: its invocations stride over the columns and meet in a tree in workgroup memory, always in the same order. */
export const rowsInTrees: Schedule = {
  name: "rows in trees",
  form: "rows",
  estimate: (c) => teamEstimate(c, c.tuning.treePrice),
  emit: (c) => emitRows(c, { size: c.target.workgroup, meet: (...row) => meetInTree(c, ...row) }),
};

/** The numbers of a team. */
const partial = (size: number): SharedArray => ({ name: "partial", type: "f32", lanes: 1, length: size });
export const partialAt = (index: Expr): Expr => ({ kind: "shared", array: "partial", index, type: "f32", lanes: 1 });
export const storePartial = (index: Expr, value: Expr): Statement => ({
  kind: "store-shared",
  array: "partial",
  index,
  value,
});

export function emitRows(c: ScheduleContext, team?: Team, features: readonly string[] = []): Body {
  const { unit, emitter } = c;
  emitter.divides = "by words";
  const kept = keptAxes(unit.shape.length, unit.axes);
  const columnShape = unit.axes.map((axis) => unit.shape[axis]!);
  const rowShape = kept.map((axis) => unit.shape[axis]!);
  const { rows: rowCount, columns } = rowsOf(c);
  const tiny = sizeOf(unit.shape) < c.tuning.tinyElements;
  const wide = !tiny && columnShape.at(-1)! % 4 === 0 && readsWide(c, unit.axes.at(-1)!);
  const rows: Rows = { kept, columns, columnShape, wide, team };
  const finish = (workgroups: number, shared: readonly SharedArray[]): Body => {
    const doc = [`reductions over ${unit.axes.length === 1 ? "an axis" : "axes"}: ${opNames(c)}`];
    return bodyOf(c, { name: "rows", doc, workgroups, shared, features });
  };
  if (team === undefined)
    return finish(
      perInvocation(c, rowCount, (row) => emitRow(c, rows, delinearize(row, rowShape))),
      [],
    );
  const phases = emitRow(c, rows, delinearize(variable("block", rowCount, blockIndex, 0), rowShape));
  return finish(rowCount, phases > 0 ? [partial(team.size)] : []);
}

/** Answers the number of phases. */
function emitRow(c: ScheduleContext, rows: Rows, row: readonly Affine[]): number {
  const { unit, emitter } = c;
  const phases = phasesOf(c);
  for (const phase of phases) reducePhase(c, rows, row, phase);
  const isFull = (id: number): boolean => shapeOf(c, id).length === unit.shape.length;
  const rowResults = unit.stored.filter((id) => !isFull(id));
  if (rowResults.length > 0) {
    const store = (): void => {
      for (const id of rowResults) emitter.store(id, row, emitter.value(id, row).expr);
    };
    if (rows.team === undefined) store();
    else emitter.when(binary("<", localIndex, u32(1)), store);
  }
  const full = unit.stored.filter(isFull);
  if (full.length === 0) return phases.length;
  const { from, turns, step } = columnLoop(rows);
  emitter.loop(from, sizeLiteral(turns), u32(step), turns, (at) => {
    const index = indexAt(c, rows, row, at);
    const values = full.map((id) => ({ id, value: emitter.value(id, index).expr }));
    for (const { id, value } of values) emitter.store(id, index, value);
  });
  return phases.length;
}

/** Whether four columns take fewer loads together than one by one, or fewer turns for as many. */
function readsWide(c: ScheduleContext, axis: number): boolean {
  const loads = (wide: boolean): number => {
    const index = c.unit.shape.map((n, i) => {
      const key = `x${i}`;
      const at = variable(
        key,
        wide && i === axis ? n / 4 : n,
        { kind: "variable", name: key, type: "u32", lanes: 1 },
        0,
      );
      return wide && i === axis ? add(scale(at, 4), lane) : at;
    });
    const first = c.unit.members.find((id) => isReduction(c, id))!;
    return probeOf(c).count([c.graph.nodes[first]!.inputs[0]!], index);
  };
  return loads(true) < 4 * loads(false) * (c.order.at(-1) === axis ? 2 : 1);
}

const isReduction = (c: ScheduleContext, id: number): boolean => ["sum", "reduce_max"].includes(c.graph.nodes[id]!.op);

/** Where an invocation begins among the columns, and how many turns all of them take. */
function columnLoop({ team, columns, wide }: Rows): { from: Expr; turns: number; step: number } {
  const turns = columns / (wide ? 4 : 1);
  return team === undefined ? { from: u32(0), turns, step: 1 } : { from: localIndex, turns, step: team.size };
}

/** The index in the domain of the unit at a turn of the loop over columns. */
function indexAt(c: ScheduleContext, rows: Rows, row: readonly Affine[], at: Affine): readonly Affine[] {
  const column = delinearize(rows.wide ? add(scale(at, 4), lane) : at, rows.columnShape);
  return c.unit.shape.map((_n, axis) => {
    const keptAt = rows.kept.indexOf(axis);
    return keptAt >= 0 ? row[keptAt]! : column[c.unit.axes.indexOf(axis)]!;
  });
}

function reducePhase(c: ScheduleContext, rows: Rows, row: readonly Affine[], phase: readonly number[]): void {
  const { emitter, graph } = c;
  const reductionOf = (id: number): Reduction => (graph.nodes[id]!.op === "reduce_max" ? maximum : sum);
  const spread = (e: Expr): Expr => (rows.wide ? emitter.spread(e) : e);
  const sumOf = (name: string): Expr => ({ kind: "variable", name, type: "f32", lanes: rows.wide ? 4 : 1 });
  const names = new Map(phase.map((id) => [id, emitter.fresh("sum", id)]));
  for (const [id, name] of names) emitter.push({ kind: "var", name, value: spread(reductionOf(id).neutral) });
  const [largest, sums] = [maximum, sum].map((kind) => phase.filter((id) => reductionOf(id) === kind)) as [
    number[],
    number[],
  ];
  const loop = { ...columnLoop(rows), sums: sums.map((id) => names.get(id)!), zero: spread(f32(0)), sumOf };
  // The lanes and invocations that share a row share its terms.
  const terms = sums.length === 0 ? 0 : rows.columns / (rows.team?.size ?? 1);
  loopOfSums(emitter, loop, terms, (at, own) => {
    const index = indexAt(c, rows, row, at);
    const into = new Map([
      ...largest.map((id) => [id, names.get(id)!] as const),
      ...sums.map((id, i) => [id, own[i]!] as const),
    ]);
    for (const id of phase) {
      const name = into.get(id)!;
      const value = emitter.value(graph.nodes[id]!.inputs[0]!, index).expr;
      emitter.push({ kind: "assign", name, value: reductionOf(id).combine(sumOf(name), spread(value)) });
    }
  });
  for (const [id, name] of names) {
    const v = sumOf(name);
    const reduction = reductionOf(id);
    const { combine } = reduction;
    const [x, y, z, w] = [0, 1, 2, 3].map((at): Expr => ({ kind: "component", of: v, at, type: "f32" }));
    const own = rows.wide ? combine(combine(x!, y!), combine(z!, w!)) : v;
    const result = rows.team?.meet(own, reduction, id) ?? own;
    emitter.preset(id, row, emitter.bind({ expr: result, depth: emitter.depth }, id));
  }
}

function meetInTree({ emitter, target }: ScheduleContext, own: Expr, { combine }: Reduction, node: number): Expr {
  emitter.push(storePartial(localIndex, own));
  emitter.push({ kind: "barrier" });
  for (let half = target.workgroup / 2; half >= 1; half /= 2) {
    emitter.when(binary("<", localIndex, u32(half)), () => {
      const value = combine(partialAt(localIndex), partialAt(binary("+", localIndex, u32(half))));
      emitter.push(storePartial(localIndex, value));
    });
    emitter.push({ kind: "barrier" });
  }
  const result = emitter.bind({ expr: partialAt(u32(0)), depth: emitter.depth }, node);
  emitter.push({ kind: "barrier" });
  return result.expr;
}

/** The reductions of the unit in rounds: each needs only results of rounds before. */
function phasesOf(c: ScheduleContext): number[][] {
  const { graph, unit } = c;
  const reductions = unit.members.filter((id) => isReduction(c, id));
  const phaseOf = new Map<number, number>();
  const memo = new Map<number, number>();
  const behind = (id: number): number => {
    const known = memo.get(id);
    if (known !== undefined) return known;
    const inputs = graph.nodes[id]!.inputs;
    const after = Math.max(
      0,
      ...inputs.map((i) => (phaseOf.has(i) ? phaseOf.get(i)! + 1 : isInside(c, i) ? behind(i) : 0)),
    );
    memo.set(id, after);
    return after;
  };
  const phases: number[][] = [];
  for (const id of reductions) {
    const phase = behind(id);
    phaseOf.set(id, phase);
    phases[phase] = [...(phases[phase] ?? []), id];
  }
  return phases;
}

/** Whether the value is computed in this kernel rather than read. */
const isInside = (c: ScheduleContext, id: number): boolean =>
  c.graph.nodes[id]!.op !== "port" && !c.emitter.isInMemory(id);
