/**
 * Order of the units and which of them share a dispatch. A list schedule: the first unit that is ready is taken, and with it others that are
 * ready and are the same kernel over the same buffers, as parts of one dispatch. Units that can wait are taken when nothing else is ready,
 * those first that most others hang on: by the time that the others are taken their likes in other layers are ready too. What is made again
 * (`passes/recompute.ts`) is taken last of all.
 */
import { isRecomputed } from "../../ir/graph.ts";
import { remembered } from "../../ir/remember.ts";
import type { Canonical } from "../kernel/canonical.ts";
import { mostParts } from "../kernel/kernel.ts";
import { Heap } from "./heap.ts";
import { placeOfPort, tensorBytes } from "./ports.ts";
import { arenaName } from "./regions.ts";
import type { ResultPlaces } from "./results.ts";
import { bufferOf, isPort, type StageSteps, typeOf } from "./stage.ts";

export interface Schedulable {
  readonly dependencies: ReadonlySet<number>;
  /** Equal for units that can be parts of one dispatch. */
  readonly key: string;
  /** What it reads is small, so that little memory is held while it waits for its likes. */
  readonly canWait: boolean;
  /** It copies out what others made; what it reads is free once it has run. */
  readonly isUrgent?: boolean;
  /** It makes again what was not kept: it runs when nothing else can, so that little is held until it is read. */
  readonly isLate?: boolean;
}

/** Groups of unit numbers in order of execution: with waiting or without, whichever gives fewer. */
export function groupUnits(units: readonly Schedulable[]): number[][] {
  const [eager, patient] = [scheduled(units.map((unit) => ({ ...unit, canWait: false }))), scheduled(units)];
  return patient.length < eager.length ? patient : eager;
}

function scheduled(units: readonly Schedulable[]): number[][] {
  const readers = readersOf(units);
  const order = preferred(units, depthsOf(readers));
  const places = new Array<number>(units.length);
  order.forEach((u, place) => {
    places[u] = place;
  });
  const missing = units.map(({ dependencies }) => dependencies.size);
  const isTaken = new Array<boolean>(units.length).fill(false);
  const groups: number[][] = [];
  // Units that are ready, by their places in `order` and, for each key, by their numbers.
  const ready = new Heap();
  const likes = new Map<string, Heap>();
  const add = (u: number): void => {
    ready.push(places[u]!);
    remembered(likes, units[u]!.key, () => new Heap()).push(u);
  };
  for (const u of units.keys()) if (missing[u] === 0) add(u);
  for (let left = units.length; left > 0; ) {
    while (ready.least !== undefined && isTaken[order[ready.least]!]) ready.pop();
    const first = order[ready.least ?? -1];
    if (first === undefined) throw new Error("the units depend on each other in a circle");
    const group = taken(likes.get(units[first]!.key)!);
    for (const u of group) isTaken[u] = true;
    for (const u of group) for (const reader of readers[u]!) if (--missing[reader]! === 0) add(reader);
    left -= group.length;
    groups.push(group);
  }
  return groups;
}

/**
 * Units in the order in which they are taken where all are ready: those that are urgent, those that cannot wait, those that can, the first one
 * that the longest chain of units hangs on, and what is made again.
 */
function preferred(units: readonly Schedulable[], depths: readonly number[]): number[] {
  const rankOf = ({ isUrgent, isLate, canWait }: Schedulable): number => (isUrgent ? 0 : isLate ? 3 : canWait ? 2 : 1);
  const ranks = units.map(rankOf);
  const depthOf = (u: number): number => (ranks[u] === 2 ? depths[u]! : 0);
  return [...units.keys()].sort((a, b) => ranks[a]! - ranks[b]! || depthOf(b) - depthOf(a) || a - b);
}

/** The first of those that can be parts of one dispatch, as many as it has. */
function taken(alike: Heap): number[] {
  const group: number[] = [];
  while (group.length < mostParts && alike.least !== undefined) group.push(alike.pop()!);
  return group;
}

function readersOf(units: readonly Schedulable[]): number[][] {
  const readers: number[][] = units.map(() => []);
  units.forEach(({ dependencies }, u) => {
    for (const d of dependencies) readers[d]!.push(u);
  });
  return readers;
}

/** Length of the longest chain of units that hangs on every unit. */
function depthsOf(readers: readonly (readonly number[])[]): number[] {
  const depths = new Array<number>(readers.length).fill(-1);
  const depth = (u: number): number => {
    if (depths[u]! < 0) depths[u] = readers[u]!.reduce((most, r) => Math.max(most, 1 + depth(r)), 0);
    return depths[u]!;
  };
  for (let u = readers.length - 1; u >= 0; u--) depth(u);
  return depths;
}

type Units = Pick<StageSteps, "input" | "fusion" | "bodies" | "canonicals" | "hazards" | "ports"> & {
  /** Places of results before some are displaced. */
  readonly results: ResultPlaces;
};

/** The units of a stage as `groupUnits` orders them. */
export function schedulables(units: Units): Schedulable[] {
  const { input, fusion, hazards } = units;
  const patient = patientUnits(units);
  const texts = new Map<Canonical["statements"], number>();
  const textOf = ({ statements }: Canonical): number => remembered(texts, statements, () => texts.size);
  const pieces = new Set(input.outputs.filter((o) => o.from !== undefined).map((o) => o.node));
  return fusion.units.map(({ id, dependencies, stored, chunk }) => ({
    dependencies: new Set([...dependencies, ...(hazards.after.get(id) ?? [])]),
    key: keyOf(units, id, textOf(units.canonicals[id]!)),
    canWait: chunk === undefined && patient.has(id),
    isUrgent: stored.every((node) => pieces.has(node)),
    isLate: isRecomputed(chunk),
  }));
}

/** Units with the same key can be parts of one dispatch: the same text, every tensor in the same buffer. */
function keyOf({ input, fusion, bodies, ports, results }: Units, unit: number, text: number): string {
  const { shared, tensors, workgroup, features } = bodies[unit]!;
  const buffers = tensors.map(({ node, order, writes }) => {
    const port = input.graph.nodes[node]!;
    const buffer = isPort(input, node)
      ? placeOfPort(ports, input.storage, { port, order }).buffer
      : bufferOf(input, results, node);
    return `${input.target.memory === "one" ? "" : buffer} ${typeOf(input, node).dtype} ${writes}`;
  });
  return JSON.stringify([text, workgroup, features, shared, buffers, fusion.units[unit]!.chunk ?? ""]);
}

/** Units that read so little that all of them together may hold it while they wait: no more than the stage's largest value. */
function patientUnits({ input, fusion, bodies, results }: Units): ReadonlySet<number> {
  const bytesOf = (node: number): number => tensorBytes(typeOf(input, node));
  let left = fusion.units.flatMap(({ stored }) => stored).reduce((most, node) => Math.max(most, bytesOf(node)), 0);
  const held = bodies.map(({ tensors }, unit) => {
    const read = new Set(tensors.filter((use) => !use.writes).map(({ node }) => node));
    const own = [...read].filter((node) => bufferOf(input, results, node) === arenaName(0));
    return { unit, bytes: own.reduce((sum, node) => sum + bytesOf(node), 0) };
  });
  const patient = held
    .sort((x, y) => x.bytes - y.bytes || x.unit - y.unit)
    .filter(({ bytes }) => {
      left -= bytes;
      return left >= 0;
    });
  return new Set(patient.map(({ unit }) => unit));
}
