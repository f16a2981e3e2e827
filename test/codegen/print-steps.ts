/** What the steps of the pipeline make of a stage, as text: `%3` is node 3 of its graph, `u1` unit 1, `memory+256` a place in a buffer. */

import type { TensorUse } from "../../src/codegen/emit/emitter.ts";
import { isRowMajor } from "../../src/codegen/emit/index-maps.ts";
import type { StageSteps } from "../../src/codegen/layout/stage.ts";
import { placeOf, typeOf } from "../../src/codegen/layout/stage.ts";
import type { PlannedStage } from "../../src/codegen/plan.ts";
import { portName } from "../../src/ir/graph.ts";

type Step = "units" | "bodies" | "canonical" | "hazards" | "places" | "groups" | "arena";

const units = (ids: Iterable<number>): string => [...ids].map((id) => `u${id}`).join(" ");
const nodes = (ids: readonly number[]): string => ids.map((id) => `%${id}`).join(" ");
/** Words with what they introduce, without those that introduce nothing. */
const words = (...parts: readonly (readonly [word: string, text: string])[]): string =>
  parts.flatMap(([word, text]) => (text === "" ? [] : [` ${word} ${text}`])).join("");

function useText({ input }: StageSteps, { node, order }: TensorUse): string {
  const { op } = input.graph.nodes[node]!;
  const name = op === "port" ? portName(input.graph.nodes[node]!) : `%${node}`;
  return isRowMajor(order) ? name : `${name}(${order.join()})`;
}

const placeText = ({ buffer, offset }: { readonly buffer: string; readonly offset: number }): string =>
  `${buffer}+${offset}`;

function printUnits({ fusion }: StageSteps): string[] {
  return fusion.units.map(({ id, form, shape, axes, members, stored, dependencies, chunk }) => {
    const over = form === "rows" ? axes.join() : "";
    const more = words(["over", over], ["of", nodes(members)], ["stores", nodes(stored)]);
    return `u${id} ${form} [${shape.join()}]${more}${words(["reads", units(dependencies)], ["chunk", chunk ?? ""])}`;
  });
}

function printBodies(steps: StageSteps): string[] {
  return steps.bodies.map(({ name, workgroup, workgroups, tensors, shared, choice }, unit) => {
    const uses = (writes: boolean): string =>
      tensors
        .filter((use) => use.writes === writes)
        .map((use) => useText(steps, use))
        .join(" ");
    const arrays = shared.map((array) => `${array.name}[${array.length}]`).join(" ");
    const more = words(["reads", uses(false)], ["writes", uses(true)], ["shares", arrays]);
    const costs = Object.entries(choice.candidates).map(([schedule, cost]) => `${schedule} ${cost}`);
    const compared = costs.length < 2 ? "" : ` (${costs.join(", ")})`;
    return `u${unit} ${name} by ${choice.chosen}${compared}: ${workgroups} x ${workgroup},${more}`;
  });
}

function printCanonical({ canonicals }: StageSteps): string[] {
  return canonicals.map((canonical, unit) => {
    const values = canonical.words.map((word) => (word.kind === "size" ? `${word.value}` : `base t${word.tensor}`));
    return `u${unit} like u${canonicals.indexOf(canonical)}, words ${values.join(", ")}`;
  });
}

function printHazards({ hazards }: StageSteps): string[] {
  const after = [...hazards.after].filter(([, others]) => others.size > 0);
  const displaced = hazards.displaced.map((node) => `%${node} is displaced`);
  return [...after.map(([unit, others]) => `u${unit} after ${units(others)}`), ...displaced];
}

function printPlaces(steps: StageSteps): string[] {
  const { bodies, input, results } = steps;
  const uses = new Map(bodies.flatMap(({ tensors }) => tensors).map((use) => [useText(steps, use), use]));
  const known = [...uses].filter(([, { node }]) => input.graph.nodes[node]!.op === "port" || results.places.has(node));
  return known.map(([text, use]) => {
    const { dtype, shape } = typeOf(input, use.node);
    return `${text}: ${dtype}[${shape.join()}] at ${placeText(placeOf(steps, use))}`;
  });
}

function printArena({ input, arena }: StageSteps): string[] {
  const places = [...arena.places].map(([node, { arena: at, offset }]) => {
    const { dtype, shape } = typeOf(input, node);
    return `%${node}: ${dtype}[${shape.join()}] at arena ${at}+${offset}`;
  });
  return [...places, `bytes ${arena.bytes.join()}`];
}

/** In the order of the pipeline. */
const printers: Readonly<Record<Step, (steps: StageSteps) => string[]>> = {
  units: printUnits,
  bodies: printBodies,
  canonical: printCanonical,
  hazards: printHazards,
  places: printPlaces,
  groups: ({ groups }) => groups.map((group, i) => `${i}: ${units(group)}`),
  arena: printArena,
};

/** All steps of a stage, each under its name. */
export const printSteps = (steps: StageSteps): string =>
  Object.entries(printers)
    .map(([step, print]) => [`${step}:`, ...print(steps).map((line) => `  ${line}`)].join("\n"))
    .join("\n");

/** The last step: what a device does. */
export function printDispatches({ dispatches, copies }: PlannedStage): string {
  const runs = dispatches.map(({ kernel, grid, bindings, always, outputs }) => {
    const bound = bindings.map((b) => `${b.access} ${placeText(b)}..${b.offset + b.size}`);
    return `${kernel} ${grid.join(" x ")}: ${bound.join(", ")}; ${always ? "always" : `for ${outputs.join(", ")}`}`;
  });
  const moves = copies.map(({ from, to, size }) => `copy ${size} bytes from ${placeText(from)} to ${placeText(to)}`);
  return [...runs, ...moves].join("\n");
}
