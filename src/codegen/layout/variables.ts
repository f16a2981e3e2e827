/** Which nodes the variables of kernels hold, by their names in the text: for people who read it. */
import { remembered } from "../../ir/remember.ts";
import type { KernelIR } from "../kernel/kernel.ts";
import { readable } from "../kernel/readable.ts";
import type { SourceKernel, StageVariables } from "../plan.ts";
import type { StageSteps } from "./stage.ts";

/** Those of every part of every dispatch of a stage. `unitsOf`: its units. `sourceOf`: what it runs. */
export function variablesOf(
  { input, bodies, canonicals }: StageSteps,
  unitsOf: readonly (readonly number[])[],
  sourceOf: (dispatch: number) => SourceKernel,
): StageVariables {
  const texts = new Map<KernelIR, ReadonlyMap<string, string>>();
  const dispatches = unitsOf.map((units, dispatch) => {
    const { ir } = sourceOf(dispatch);
    const names = remembered(texts, ir, () => readable(ir).variables);
    return units.map((unit) => {
      const held = [...bodies[unit]!.held].flatMap(([own, node]): [string, number][] => {
        const name = canonicals[unit]!.names.get(own);
        return name === undefined ? [] : [[names.get(name) ?? name, node]];
      });
      return new Map(held);
    });
  });
  return { stage: input.name, dispatches };
}
