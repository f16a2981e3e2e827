/** What is in memory when, and why: the values that a stage keeps between its dispatches. */
import type { KeptValue } from "../plan.ts";
import { tensorBytes } from "./ports.ts";
import { isPort, placeOf, type StageSteps, typeOf } from "./stage.ts";

type UnitsOf = readonly (readonly number[])[];

interface Life {
  readonly first: number;
  last: number;
  /** Read by a dispatch that computes gradients. */
  saved: boolean;
}

/** Values with places in arenas, and results that are not in storage, in the order in which they are made. `unitsOf`: of every dispatch. */
export function valuesOf(steps: StageSteps, unitsOf: UnitsOf): KeptValue[] {
  const { input, results, arena } = steps;
  const { nodes } = input.graph;
  const outputs = new Set(input.outputs.filter(({ slice }) => slice === undefined).map(({ node }) => node));
  const isKept = (node: number): boolean => arena.places.has(node) || (outputs.has(node) && results.places.has(node));
  return [...livesOf(steps, unitsOf)]
    .filter(([node]) => isKept(node))
    .map(([node, { first, last, saved }]): KeptValue => {
      const { buffer, offset } = placeOf(steps, { node, order: [], writes: false });
      const ofForward = nodes[node]!.phase === undefined && saved;
      const why = outputs.has(node) ? "output" : ofForward ? "saved for backward" : "temporary";
      return { node, buffer, offset, bytes: tensorBytes(typeOf(input, node)), first, last, why };
    });
}

function livesOf({ input, fusion, bodies }: StageSteps, unitsOf: UnitsOf): Map<number, Life> {
  const { nodes } = input.graph;
  const lives = new Map<number, Life>();
  unitsOf.forEach((units, dispatch) => {
    for (const unit of units) {
      const backward = fusion.units[unit]!.stored.some((id) => nodes[id]!.phase === "backward");
      for (const { node, writes } of bodies[unit]!.tensors) {
        if (isPort(input, node)) continue;
        const life = lives.get(node) ?? { first: dispatch, last: dispatch, saved: false };
        life.last = dispatch;
        life.saved ||= backward && !writes;
        lives.set(node, life);
      }
    }
  });
  return lives;
}
