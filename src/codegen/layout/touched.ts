/** What dispatches read and write in memory: for those who look at a run from inside. */
import type { StageTensors } from "../plan.ts";
import { placeOf, type StageSteps, typeOf } from "./stage.ts";

/** The tensors of every dispatch of a stage. `unitsOf`: its units. */
export const tensorsOf = (steps: StageSteps, unitsOf: readonly (readonly number[])[]): StageTensors => ({
  stage: steps.input.name,
  graph: steps.input.graph,
  dispatches: unitsOf.map((units) =>
    units.flatMap((unit) =>
      steps.bodies[unit]!.tensors.map((use) => {
        const { node, writes, order } = use;
        const { buffer, offset } = placeOf(steps, use);
        const { dtype, shape } = typeOf(steps.input, node);
        return { node, writes, dtype, shape, order, buffer, offset };
      }),
    ),
  ),
});
