/** A stage as a device runs it: groups of units become dispatches, with kernels, bindings and what needs them. */
import { remembered } from "../../ir/remember.ts";
import { collected } from "../../ir/so-far.ts";
import { during } from "../../ir/trail.ts";
import type { TensorType } from "../../ir/types.ts";
import type { Unit } from "../fuse/fuse.ts";
import type { KernelTable } from "../kernel/kernel-table.ts";
import type { Dispatch, PlannedStage, PlannedValue } from "../plan.ts";
import type { Body } from "../schedule/body.ts";
import { type Assembled, assemble, type Part } from "./assemble.ts";
import { makingOf } from "./bindings.ts";
import { countsOf, type UnitWork, workOf } from "./counts.ts";
import type { Placement } from "./ports.ts";
import type { Regions } from "./regions.ts";
import { isRead, placeOf, type StageInput, type StageSteps, typeOf } from "./stage.ts";

/**
 * The plan of a stage, and the units of each of its dispatches; its kernels are added to the table. With `soFar` those before the first that
 * cannot be made.
 */
export function dispatchesOf(
  steps: StageSteps,
  regions: Regions,
  table: KernelTable,
  soFar = false,
): { readonly stage: PlannedStage; readonly unitsOf: readonly (readonly number[])[] } {
  const { input, groups, results } = steps;
  const needs = needsOf(steps);
  const places = steps.bodies.map(({ tensors }) => tensors.map((use) => located(placeOf(steps, use), regions)));
  const making = { places, table, works: new Map() };
  const parts = groups.flatMap((group, i) => splitByBuffer(group, places).map((part) => [part, needs[i]!] as const));
  const made = collected(dispatched(steps, parts, making), soFar);
  const [dispatches, unitsOf] = [made, parts.slice(0, made.length).map(([part]) => part)];
  return { stage: { name: input.name, dispatches, copies: results.copies, outputs: outputsOf(steps) }, unitsOf };
}

function* dispatched(
  steps: StageSteps,
  parts: readonly (readonly [group: readonly number[], needs: Needs])[],
  making: Making,
): Generator<Dispatch> {
  for (const [group, needs] of parts) yield dispatch(steps, group, making, needs);
}

function outputsOf({ input, results }: StageSteps): PlannedValue[] {
  return input.outputs.map(({ name, node, slice, from }) => {
    const whole = input.given.outputs.find((o) => o.name === name)!.node;
    const { dtype, shape } = from === undefined ? (input.given.nodes[whole]!.type as TensorType) : typeOf(input, node);
    const place = results.places.get(node)!;
    return {
      name,
      dtype,
      shape,
      buffer: slice?.buffer ?? place.buffer,
      offset: slice === undefined ? place.offset : 4 * slice.offset,
      ...(from === undefined ? {} : { from }),
    };
  });
}

interface Needs {
  /** Storage needs it. */
  always: boolean;
  /** Outputs, not in storage, that need it. */
  readonly outputs: Set<string>;
}

/** What needs every group: a dispatch whose values storage needs always runs, others when an output that needs them is wanted. */
function needsOf({ input, groups, fusion, hazards }: StageSteps): readonly Needs[] {
  const groupOf = new Map(groups.flatMap((group, i) => group.map((u): [number, number] => [u, i])));
  const displaced = new Set(hazards.displaced);
  const outputs = new Map<number, number[]>();
  for (const [i, { node }] of input.outputs.entries()) remembered(outputs, node, () => []).push(i);
  const needs = groups.map((): Needs => ({ always: false, outputs: new Set() }));
  for (let i = groups.length - 1; i >= 0; i--) {
    const own = needs[i]!;
    const units = groups[i]!.map((u) => fusion.units[u]!);
    const made = units.flatMap(({ stored }) => stored.flatMap((node) => outputs.get(node) ?? []));
    for (const { name, node, slice } of made.sort((a, b) => a - b).map((at) => input.outputs[at]!)) {
      if (slice !== undefined || displaced.has(node)) own.always = true;
      else own.outputs.add(name);
    }
    for (const d of units.flatMap(({ dependencies }) => dependencies)) {
      const earlier = needs[groupOf.get(d)!]!;
      earlier.always ||= own.always;
      for (const name of own.outputs) earlier.outputs.add(name);
    }
  }
  return needs;
}

function located(place: Placement, regions: Regions): Placement {
  const { buffer, offset } = regions.locate(place.buffer, place.offset);
  return { buffer, offset, size: place.size, dtype: place.dtype };
}

/** The units of a group that read and write the same buffers: all of them, unless the program turned out too large for one. */
function splitByBuffer(group: readonly number[], places: readonly (readonly Placement[])[]): number[][] {
  if (group.length === 1) return [[...group]];
  const parts = new Map<string, number[]>();
  for (const unit of group) remembered(parts, places[unit]!.map(({ buffer }) => buffer).join(), () => []).push(unit);
  return [...parts.values()];
}

interface Making {
  /** By unit: where its tensors are. */
  readonly places: readonly (readonly Placement[])[];
  readonly table: KernelTable;
  /** What units do, by their statements: units that are alike have the same. */
  readonly works: Map<Body["statements"], UnitWork>;
}

function dispatch(steps: StageSteps, group: readonly number[], making: Making, needs: Needs): Dispatch {
  const { places, table, works } = making;
  const { input, fusion, bodies, canonicals } = steps;
  const parts = group.map((u): Part => ({ body: bodies[u]!, canonical: canonicals[u]!, places: places[u]! }));
  const units = group.map((u) => fusion.units[u]!);
  const { kernel, bindings, sizes, workgroups } = assembled(parts, input);
  const most = input.target.limits.maxComputeWorkgroupsPerDimension;
  const fused = { graph: input.graph, home: fusion.home };
  const reads = (unit: Unit, id: number): boolean => isRead(fused, unit, id);
  const counted = units.map((unit) => {
    const { statements, nodes } = bodies[unit.id]!;
    const work = remembered(works, statements, () => workOf(input.graph, { unit, nodes }, (id) => reads(unit, id)));
    return { unit, nodes, work };
  });
  const counts = countsOf(input.graph, counted);
  return table.dispatch(parts[0]!.body.name, kernel, {
    bindings,
    sizes,
    grid: [Math.min(workgroups, most), Math.ceil(workgroups / most), 1],
    nodes: computedNodes(steps, units, reads),
    ...counts,
    bytes: counts.reads + counts.writes,
    always: needs.always,
    outputs: [...needs.outputs],
  });
}

function assembled(parts: readonly Part[], { graph, target }: StageInput): Assembled {
  try {
    return assemble(parts, target);
  } catch (error) {
    const tensors = parts.flatMap(({ body }) => body.tensors);
    throw during(error, makingOf(graph, tensors));
  }
}

/** Nodes of the given graph that are computed in the units. */
function computedNodes(
  { input }: StageSteps,
  units: readonly Unit[],
  reads: (unit: Unit, id: number) => boolean,
): number[] {
  const nodesOf = (unit: Unit): number[] => {
    const seen = new Set<number>();
    const visit = (id: number): void => {
      if (seen.has(id) || reads(unit, id)) return;
      seen.add(id);
      input.graph.nodes[id]!.inputs.forEach(visit);
    };
    unit.stored.forEach(visit);
    return [...seen].filter((id) => id < input.given.nodes.length);
  };
  return [...new Set(units.flatMap(nodesOf))].sort((a, b) => a - b);
}
