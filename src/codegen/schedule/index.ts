/** All schedules, and the choice among those of a unit's form: the cheapest by their own estimates, the first of those that are equal. */
import type { Target } from "../target.ts";
import type { Body, Schedule, ScheduleContext } from "./body.ts";
import { registerTiles } from "./contraction.ts";
import { gaussJordan } from "./inverse.ts";
import { elementwise } from "./map.ts";
import { panels } from "./panels.ts";
import { rowsAlone, rowsInTrees } from "./rows.ts";
import { rowsBySubgroups } from "./rows-by-subgroups.ts";
import { scatterInOrder } from "./scatter.ts";
import { workgroupTiles } from "./workgroup-tiles.ts";

export const schedules: readonly Schedule[] = [
  elementwise,
  rowsAlone,
  rowsInTrees,
  rowsBySubgroups,
  panels,
  registerTiles,
  workgroupTiles,
  gaussJordan,
  scatterInOrder,
];

/** Who was compared for a unit: nobody where there was but one. */
interface Choice {
  readonly chosen: string;
  /** Costs by name. */
  readonly candidates: Readonly<Record<string, number>>;
}

export interface ScheduledBody extends Body {
  readonly choice: Choice;
}

function meets({ features, limits }: Target, { needs = {} }: Schedule): boolean {
  const { features: wanted = [], workgroup = 0, workgroupBytes = 0 } = needs;
  return (
    wanted.every((feature) => features.includes(feature)) &&
    workgroup <= limits.maxComputeInvocationsPerWorkgroup &&
    workgroupBytes <= limits.maxComputeWorkgroupStorageSize
  );
}

export function scheduleUnit(c: ScheduleContext): ScheduledBody {
  const able = schedules.flatMap((schedule) => {
    const estimate = schedule.form === c.unit.form && meets(c.target, schedule) ? schedule.estimate(c) : undefined;
    return estimate === undefined ? [] : [{ schedule, estimate }];
  });
  if (able.length === 0) throw new Error(`no schedule takes ${c.unit.form} of ${c.unit.shape.join(" x ")}`);
  const best = able.reduce((first, next) => (next.estimate.cost() < first.estimate.cost() ? next : first));
  const compared = able.length < 2 ? [] : able.map(({ schedule, estimate }) => [schedule.name, estimate.cost()]);
  const choice = { chosen: best.schedule.name, candidates: Object.fromEntries(compared) };
  return { ...best.schedule.emit(c, best.estimate), choice };
}
