/**
 * Row units: reductions over the same axes with the pointwise work between and after them. The columns of a row are gone through once per
 * *phase*: a phase reduces everything whose operands are known, the last one writes results as large as the operand.
 *
 * On software drivers an invocation owns a row. On GPUs a workgroup owns a row: its invocations stride over the columns and meet in a tree
 * in workgroup memory, always in the same order, so that sums are reproducible.
 */
import { largestFloat32, sizeOf } from "../../ir/types.ts";
import { type Affine, add, delinearize, scale, variable } from "../emit/affine.ts";
import { lane, type Val } from "../emit/emitter.ts";
import { keptAxes } from "../fuse/fuse.ts";
import { countLoads } from "../kernel/accesses.ts";
import { binary, type Expr, f32, type SharedArray, sizeLiteral, u32 } from "../kernel/kernel.ts";
import {
  type Body,
  blockIndex,
  localIndex,
  opNames,
  perInvocation,
  probeOf,
  type ScheduleContext,
  shapeOf,
  tinyElements,
} from "./body.ts";
import { loopOfSums } from "./long-sums.ts";

interface Rows {
  readonly kept: readonly number[];
  readonly columns: number;
  readonly columnShape: readonly number[];
  /** Columns are read four at a time. */
  readonly wide: boolean;
  /** Invocations that share a row. */
  readonly team: number;
}

const lowest = -largestFloat32;

export function scheduleRows(c: ScheduleContext): Body {
  const { unit, target, emitter } = c;
  emitter.divides = "by words";
  const kept = keptAxes(unit.shape.length, unit.axes);
  const columnShape = unit.axes.map((axis) => unit.shape[axis]!);
  const columns = sizeOf(columnShape);
  const rowShape = kept.map((axis) => unit.shape[axis]!);
  const rowCount = sizeOf(rowShape);
  const tiny = sizeOf(unit.shape) < tinyElements;
  const wide = !tiny && columnShape.at(-1)! % 4 === 0 && readsWide(c, unit.axes.at(-1)!);
  const alone = target.kind === "cpu" ? rowCount >= 8 || columns <= 1024 : columns < 16;
  const rows: Rows = { kept, columns, columnShape, wide, team: alone ? 1 : target.workgroup };
  const shared: SharedArray[] = [];
  let workgroups = rowCount;
  if (rows.team === 1)
    workgroups = perInvocation(c, rowCount, (row) => emitRow(c, rows, delinearize(row, rowShape), shared));
  else emitRow(c, rows, delinearize(variable("block", rowCount, blockIndex, 0), rowShape), shared);
  const doc = [`reductions over ${unit.axes.length === 1 ? "an axis" : "axes"}: ${opNames(c)}`];
  return { name: "rows", doc, statements: emitter.body, tensors: emitter.tensors, workgroups, shared };
}

function emitRow(c: ScheduleContext, rows: Rows, row: readonly Affine[], shared: SharedArray[]): void {
  const { unit, emitter } = c;
  for (const phase of phasesOf(c)) reducePhase(c, rows, row, phase, shared);
  const isFull = (id: number): boolean => shapeOf(c, id).length === unit.shape.length;
  const rowResults = unit.stored.filter((id) => !isFull(id));
  if (rowResults.length > 0) {
    const store = (): void => {
      for (const id of rowResults) emitter.store(id, row, emitter.value(id, row).expr);
    };
    if (rows.team === 1) store();
    else emitter.when(binary("<", localIndex, u32(1)), store);
  }
  const full = unit.stored.filter(isFull);
  if (full.length === 0) return;
  const { from, turns, step } = columnLoop(rows);
  emitter.loop(from, sizeLiteral(turns), u32(step), turns, (at) => {
    const index = indexAt(c, rows, row, at);
    const values = full.map((id) => ({ id, value: emitter.value(id, index).expr }));
    for (const { id, value } of values) emitter.store(id, index, value);
  });
}

/** Whether four columns take fewer loads together than one by one, or fewer turns for as many. */
function readsWide(c: ScheduleContext, axis: number): boolean {
  const loads = (wide: boolean): number => {
    const probe = probeOf(c);
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
    probe.bind(probe.value(c.graph.nodes[first]!.inputs[0]!, index));
    return countLoads(probe.body);
  };
  return loads(true) < 4 * loads(false) * (c.order.at(-1) === axis ? 2 : 1);
}

const isReduction = (c: ScheduleContext, id: number): boolean => ["sum", "reduce_max"].includes(c.graph.nodes[id]!.op);

/** Where an invocation begins among the columns, and how many turns all of them take. */
function columnLoop(rows: Rows): { from: Expr; turns: number; step: number } {
  return { from: rows.team === 1 ? u32(0) : localIndex, turns: rows.columns / (rows.wide ? 4 : 1), step: rows.team };
}

/** The index in the domain of the unit at a turn of the loop over columns. */
function indexAt(c: ScheduleContext, rows: Rows, row: readonly Affine[], at: Affine): readonly Affine[] {
  const column = delinearize(rows.wide ? add(scale(at, 4), lane) : at, rows.columnShape);
  return c.unit.shape.map((_n, axis) => {
    const keptAt = rows.kept.indexOf(axis);
    return keptAt >= 0 ? row[keptAt]! : column[c.unit.axes.indexOf(axis)]!;
  });
}

function reducePhase(
  c: ScheduleContext,
  rows: Rows,
  row: readonly Affine[],
  phase: readonly number[],
  shared: SharedArray[],
): void {
  const { emitter, graph } = c;
  const isMax = (id: number): boolean => graph.nodes[id]!.op === "reduce_max";
  const combine = (id: number, a: Expr, b: Expr): Expr =>
    isMax(id)
      ? { kind: "op", op: "maximum", args: [a, b], type: "f32", lanes: "lanes" in a ? a.lanes : 1 }
      : binary("+", a, b);
  const spread = (e: Expr): Expr => (rows.wide ? emitter.spread(e) : e);
  const sumOf = (name: string): Expr => ({ kind: "variable", name, type: "f32", lanes: rows.wide ? 4 : 1 });
  const names = new Map(phase.map((id) => [id, emitter.fresh("sum")]));
  for (const [id, name] of names) emitter.push({ kind: "var", name, value: spread(f32(isMax(id) ? lowest : 0)) });
  const [largest, sums] = [phase.filter(isMax), phase.filter((id) => !isMax(id))];
  const loop = { ...columnLoop(rows), sums: sums.map((id) => names.get(id)!), zero: spread(f32(0)), sumOf };
  // The lanes and invocations that share a row share its terms.
  const terms = sums.length === 0 ? 0 : rows.columns / rows.team;
  loopOfSums(emitter, loop, terms, (at, own) => {
    const index = indexAt(c, rows, row, at);
    const into = new Map([
      ...largest.map((id) => [id, names.get(id)!] as const),
      ...sums.map((id, i) => [id, own[i]!] as const),
    ]);
    for (const id of phase) {
      const name = into.get(id)!;
      const value = emitter.value(graph.nodes[id]!.inputs[0]!, index).expr;
      emitter.push({ kind: "assign", name, value: combine(id, sumOf(name), spread(value)) });
    }
  });
  for (const [id, name] of names) {
    const v = sumOf(name);
    const parts = [0, 1, 2, 3].map((at): Expr => ({ kind: "component", of: v, at, type: "f32" }));
    const own = rows.wide ? combine(id, combine(id, parts[0]!, parts[1]!), combine(id, parts[2]!, parts[3]!)) : v;
    const result = rows.team === 1 ? own : meet(c, rows, own, (a, b) => combine(id, a, b), shared);
    emitter.preset(id, row, emitter.bind({ expr: result, depth: emitter.depth }));
  }
}

/** The invocations of a workgroup combine their numbers in a tree; all get the result. */
function meet(
  c: ScheduleContext,
  rows: Rows,
  own: Expr,
  combine: (a: Expr, b: Expr) => Expr,
  shared: SharedArray[],
): Expr {
  const { emitter } = c;
  const array = "partial";
  if (shared.length === 0) shared.push({ name: array, type: "f32", lanes: 1, length: rows.team });
  const at = (index: Expr): Expr => ({ kind: "shared", array, index, type: "f32", lanes: 1 });
  emitter.push({ kind: "store-shared", array, index: localIndex, value: own });
  emitter.push({ kind: "barrier" });
  for (let half = rows.team / 2; half >= 1; half /= 2) {
    emitter.when(binary("<", localIndex, u32(half)), () => {
      const value = combine(at(localIndex), at(binary("+", localIndex, u32(half))));
      emitter.push({ kind: "store-shared", array, index: localIndex, value });
    });
    emitter.push({ kind: "barrier" });
  }
  const result: Val = emitter.bind({ expr: at(u32(0)), depth: emitter.depth });
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
