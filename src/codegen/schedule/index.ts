/** Chooses the schedule of a unit by its form. */
import type { Unit } from "../fuse/fuse.ts";
import type { Body, ScheduleContext } from "./body.ts";
import { scheduleContraction } from "./contraction.ts";
import { scheduleInverse } from "./inverse.ts";
import { scheduleMap } from "./map.ts";
import { scheduleRows } from "./rows.ts";
import { scheduleScatter } from "./scatter.ts";

const schedules: Readonly<Record<Unit["form"], (c: ScheduleContext) => Body>> = {
  map: scheduleMap,
  rows: scheduleRows,
  contraction: scheduleContraction,
  inverse: scheduleInverse,
  scatter: scheduleScatter,
};

export const scheduleUnit = (c: ScheduleContext): Body => schedules[c.unit.form](c);
