/** What was measured, by kernel. */
import type { StageName } from "../program/index.ts";
import type { Measurement } from "../program/measurement.ts";
import type { InspectedProgram } from "./views.ts";

/** Milliseconds of a kernel in some stages, by its name; those that did not run are not there. */
export function kernelTimes(
  { plan }: Pick<InspectedProgram, "plan">,
  { stages }: Measurement,
  names: readonly StageName[],
): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const { name, dispatches } of plan.stages.filter((stage) => names.includes(stage.name))) {
    const measured = stages.find((stage) => stage.name === name)?.dispatchMs;
    dispatches.forEach(({ kernel }, at) => {
      const ms = measured?.[at];
      if (ms != null) times.set(kernel, (times.get(kernel) ?? 0) + ms);
    });
  }
  return times;
}
