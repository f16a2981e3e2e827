/** Chooses the schedule of a unit by its form. */
import type { Graph } from "../../ir/graph.ts";
import type { Unit } from "../fuse.ts";
import type { Target } from "../target.ts";
import { type Body, contextOf, type ScheduleContext } from "./body.ts";
import { scheduleContraction } from "./contraction.ts";
import { scheduleInverse } from "./inverse.ts";
import { scheduleMap } from "./map.ts";
import { scheduleRows } from "./rows.ts";
import { scheduleScatter } from "./tables.ts";

const schedules: Readonly<Record<Unit["form"], (c: ScheduleContext) => Body>> = {
  map: scheduleMap,
  rows: scheduleRows,
  contraction: scheduleContraction,
  inverse: scheduleInverse,
  scatter: scheduleScatter,
};

export function scheduleUnit(
  graph: Graph,
  target: Target,
  unit: Unit,
  uses: readonly number[],
  inMemory: (node: number) => boolean,
): Body {
  return schedules[unit.form](contextOf(graph, target, unit, uses, inMemory));
}
