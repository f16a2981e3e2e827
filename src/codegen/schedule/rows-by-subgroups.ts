/**
 * Row units where the target has subgroups: a workgroup owns a row, as with a tree, but its invocations meet in two steps: those of a
 * subgroup by one instruction, then the subgroups' numbers through workgroup memory, again by one.
 *
 * Nothing is assumed of subgroups: neither their size, which a device may choose per kernel, nor which invocations form one. Each knows by
 * sums of ones how many are in its subgroup and how many of them are before it. The first of each leaves the subgroup's number in workgroup
 * memory, the others what changes nothing; then each subgroup goes through all that is there.
 */

import type { SubgroupOperation } from "../kernel/kernel.ts";
import { binary, type Expr, u32 } from "../kernel/kernel.ts";
import { localIndex, type Schedule, type ScheduleContext } from "./body.ts";
import { emitRows, partialAt, type Reduction, storePartial, teamEstimate } from "./rows.ts";

export const rowsBySubgroups: Schedule = {
  name: "rows by subgroups",
  form: "rows",
  needs: { features: ["subgroups"] },
  estimate: (c) => teamEstimate(c, c.tuning.subgroupPrice),
  emit(c) {
    const size = c.target.workgroup;
    const members = together(c, "sum", u32(1));
    const before = together(c, "exclusive sum", u32(1));
    return emitRows(c, { size, meet: (...row) => meet(c, { size, members, before }, ...row) }, ["subgroups"]);
  },
};

/** What the invocations of a subgroup make of their numbers. */
function together({ emitter }: ScheduleContext, combine: SubgroupOperation, value: Expr, node?: number): Expr {
  const name = emitter.fresh("group", node);
  emitter.push({ kind: "subgroup", name, combine, value });
  return { kind: "variable", name, type: value.type, lanes: 1 };
}

interface Subgroups {
  /** Invocations of the workgroup, of the subgroup, and of the latter those before this one. */
  readonly size: number;
  readonly members: Expr;
  readonly before: Expr;
}

function meet(c: ScheduleContext, { size, members, before }: Subgroups, own: Expr, reduction: Reduction, node: number) {
  const { emitter } = c;
  const { kind, neutral, combine } = reduction;
  const ofGroup = together(c, kind, own, node);
  const isFirst = binary("<", before, u32(1));
  const left: Expr = { kind: "op", op: "select", args: [isFirst, ofGroup, neutral], type: "f32", lanes: 1 };
  emitter.push(storePartial(localIndex, left));
  emitter.push({ kind: "barrier" });
  const all: Expr = { kind: "variable", name: emitter.fresh("sum", node), type: "f32", lanes: 1 };
  emitter.push({ kind: "var", name: all.name, value: neutral });
  emitter.loop(before, u32(size), members, size, (at) => {
    const value = combine(all, partialAt(emitter.address(at).expr));
    emitter.push({ kind: "assign", name: all.name, value });
  });
  const result = together(c, kind, all, node);
  // What is there may be replaced only when all have read it.
  emitter.push({ kind: "barrier" });
  return result;
}
