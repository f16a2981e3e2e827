/**
 * Code generation: the stages of a program and a target in, kernels and plan out. Pure and deterministic, no device.
 *
 *   stage -> units -> bodies -> canonical -> hazards -> places -> groups -> arena -> dispatches
 *
 * Each step is a function of what those before it made.
 */
import { once } from "../ir/remember.ts";
import { collected } from "../ir/so-far.ts";
import { during } from "../ir/trail.ts";
import type { ProgramStorage, Stage } from "../program/index.ts";
import { type Fusion, fuse } from "./fuse/fuse.ts";
import { livenessOf } from "./fuse/kept.ts";
import { KernelTable } from "./kernel/kernel-table.ts";
import { type Known, knownFor } from "./known.ts";
import { layoutArena, lifetimesOf } from "./layout/arena.ts";
import { checkTensors } from "./layout/bindings.ts";
import { dispatchesOf } from "./layout/dispatches.ts";
import { groupUnits, schedulables } from "./layout/group.ts";
import { hazardsOf } from "./layout/hazards.ts";
import { bufferOfPort, placeInputs, placePorts, portBuffers, portUses, withPortParts } from "./layout/ports.ts";
import { arenaName, Regions } from "./layout/regions.ts";
import { displace, placeOutputs, prepareOutputs, roomAfter, roomFor } from "./layout/results.ts";
import { isStoredPort, type Memory, placeOf, type StageInput, type StageSteps } from "./layout/stage.ts";
import { tensorsOf } from "./layout/touched.ts";
import { valuesOf } from "./layout/values.ts";
import { variablesOf } from "./layout/variables.ts";
import type { BufferSpec, Generated, ScheduleChoice } from "./plan.ts";
import { type LoweredBody, lowerUnits } from "./schedule/lower.ts";
import { type Target, tuningOf } from "./target.ts";

export function generate(stages: readonly Stage[], storage: ProgramStorage, target: Target): Generated {
  return generated(stages, storage, target, false);
}

/**
 * What of a program can be generated where `generate` throws: of a stage whose kernels cannot all be made those before the first that cannot, in the order of
 * computation, with the memory of what they store. A stage that fails otherwise is left out.
 */
export function generateSoFar(stages: readonly Stage[], storage: ProgramStorage, target: Target): Generated {
  return generated(stages, storage, target, true);
}

function generated(stages: readonly Stage[], storage: ProgramStorage, target: Target, soFar: boolean): Generated {
  const table = new KernelTable(tuningOf(target).copiesSizes);
  const { steps, memory } = arrange(stages, storage, target, soFar);
  const named = [...portBuffers(memory.ports, storage), ...memory.results.buffers, ...arenas(steps)];
  const regions = new Regions(
    named.filter((b) => b.bytes > 0),
    target,
  );
  const planned = steps.map((made) => ofStage(made.input.name, () => dispatchesOf(made, regions, table, soFar)));
  const peakBytes = regions.buffers.filter((b) => b.within === undefined).reduce((sum, b) => sum + b.bytes, 0);
  const { inputs, frozen } = memory.ports;
  const values = once(() =>
    steps.map((made, i) => ({ stage: made.input.name, values: valuesOf(made, planned[i]!.unitsOf) })),
  );
  const variables = once(() =>
    steps.map((made, i) => {
      const { stage, unitsOf } = planned[i]!;
      return variablesOf(made, unitsOf, (at) => table.sourceOf(stage.dispatches[at]!));
    }),
  );
  const tensors = once(() => steps.map((made, i) => tensorsOf(made, planned[i]!.unitsOf)));
  return {
    get kernels() {
      return table.kernels;
    },
    sourceOf: (dispatch) => table.sourceOf(dispatch),
    plan: { buffers: regions.buffers, inputs, weights: frozen, stages: planned.map(({ stage }) => stage), peakBytes },
    get values() {
      return values();
    },
    get parts() {
      return steps.map(({ input, fusion }, i) => ({
        stage: input.name,
        stored: planned[i]!.unitsOf.map((units) => units.map((unit) => fusion.units[unit]!.stored)),
      }));
    },
    get tensors() {
      return tensors();
    },
    get variables() {
      return variables();
    },
    choices: steps.flatMap(choicesOf),
  };
}

const choicesOf = ({ input, fusion, bodies }: StageSteps): ScheduleChoice[] =>
  bodies.flatMap(({ choice }, unit) =>
    Object.keys(choice.candidates).length < 2
      ? []
      : [{ stage: input.name, nodes: fusion.units[unit]!.stored, ...choice }],
  );

/** The steps of every stage up to the arena, and where ports and results of all of them are; with `soFar` those that can be made. */
export function arrange(
  stages: readonly Stage[],
  storage: ProgramStorage,
  target: Target,
  soFar = false,
): { readonly steps: readonly StageSteps[]; readonly memory: Memory } {
  const known = knownFor(target);
  let memory: Memory = { ports: placeInputs(stages, storage), results: { buffers: [], taken: new Map() } };
  function* arranged(stage: Stage): Generator<StageSteps> {
    yield ofStage(stage.name, () => arrangeStage(prepare(stage, storage, target), memory, { known, soFar }));
  }
  const steps = stages.flatMap((stage) => {
    const [made] = collected(arranged(stage), soFar);
    if (made === undefined) return [];
    memory = { ports: made.ports, results: roomAfter(stage.name, memory.results, made.results) };
    return [made];
  });
  return { steps, memory };
}

function ofStage<T>(stage: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw during(error, { doing: "stage", stage });
  }
}

function prepare({ name, graph: given }: Stage, storage: ProgramStorage, target: Target): StageInput {
  const largest = target.limits.maxStorageBufferBindingSize;
  const { graph, outputs } = prepareOutputs(given, storage, largest);
  return { name, given, graph: withPortParts(graph, storage, largest), outputs, storage, target };
}

/** Where kernels would bind too many buffers, they are made again, from units that count every value as a buffer. */
function arrangeStage(input: StageInput, before: Memory, how: Pick<Arranging, "known" | "soFar">): StageSteps {
  const joined = arrangeUnits(input, before, { ...how, apart: false });
  const made = bindsFew(joined) ? joined : arrangeUnits(input, before, { ...how, apart: true });
  if (!how.soFar) for (const body of made.bodies) checkTensors(input.name, input.graph, body, input.target);
  return made;
}

interface Arranging {
  readonly known: Known;
  /** Kernels read no more values than they could bind if every value were in another arena. */
  readonly apart: boolean;
  readonly soFar: boolean;
}

function arrangeUnits(all: StageInput, before: Memory, { known, apart, soFar }: Arranging): StageSteps {
  const { graph, storage, target } = all;
  const { limits } = target;
  const largest = limits.maxStorageBufferBindingSize;
  const place = (input: StageInput) => placeOutputs(roomFor(input.name, before.results), input, largest);
  const wanted = place(all);

  const liveness = livenessOf(graph);
  const whole = fuse(graph, liveness, {
    buffers: limits.maxStorageBuffersPerShaderStage,
    tuning: tuningOf(target),
    bufferOf: (port) => bufferOfPort(storage, graph.nodes[port]!),
    apart,
  });
  const lowered = lowerUnits(graph, whole, {
    target,
    liveness,
    isResult: (node) => wanted.places.has(node),
    isStored: (port) => isStoredPort(all, port),
    known: known.lowered,
  });
  const bodies = soFar ? collected(checked(all, lowered), true) : [...lowered];
  const { input, fusion } = madeOf(all, whole, bodies.length);
  const owned = input === all ? wanted : place(input);
  const canonicals = bodies.map((body) => known.canonicals.of(body));
  const ports = placePorts(before.ports, storage, portUses(graph, bodies), largest);
  const hazards = hazardsOf({ input, fusion, bodies, ports }, owned.places);
  const groups = groupUnits(schedulables({ input, fusion, bodies, canonicals, hazards, ports, results: owned }));
  const results = displace(owned, graph, hazards.displaced, largest);
  const values = lifetimesOf({ input, bodies, results, groups });
  const arena = layoutArena(values, limits.minStorageBufferOffsetAlignment, largest);
  return { input, fusion, bodies, canonicals, hazards, results, ports, groups, arena };
}

function* checked({ name, graph, target }: StageInput, bodies: Iterable<LoweredBody>): Generator<LoweredBody> {
  for (const body of bodies) {
    checkTensors(name, graph, body, target);
    yield body;
  }
}

/** The first units of a stage, and of its outputs those that they store. */
function madeOf(input: StageInput, fusion: Fusion, count: number): Pick<StageSteps, "input" | "fusion"> {
  if (count === fusion.units.length) return { input, fusion };
  const isMade = (node: number): boolean => (fusion.home.get(node) ?? count) < count;
  return {
    input: { ...input, outputs: input.outputs.filter(({ node }) => isMade(node)) },
    fusion: { ...fusion, units: fusion.units.slice(0, count) },
  };
}

/** Whether every kernel can bind the buffers that it reads and writes. */
function bindsFew(steps: StageSteps): boolean {
  const most = steps.input.target.limits.maxStorageBuffersPerShaderStage;
  return steps.bodies.every(({ tensors }) => new Set(tensors.map((use) => placeOf(steps, use).buffer)).size <= most);
}

/** The stages run one after the other: each arena is as large as the stage that needs most of it. */
function arenas(steps: readonly StageSteps[]): BufferSpec[] {
  const count = steps.reduce((most, { arena }) => Math.max(most, arena.bytes.length), 0);
  return Array.from({ length: count }, (_unused, i) => ({
    name: arenaName(i),
    bytes: steps.reduce((most, { arena }) => Math.max(most, arena.bytes[i] ?? 0), 0),
  }));
}
