/** A stage on its way through the pipeline: what every step reads of it, and what the steps make. */
import type { Graph } from "../../ir/graph.ts";
import type { TensorType } from "../../ir/types.ts";
import type { ProgramStorage, StageName } from "../../program/index.ts";
import type { TensorUse } from "../emit/emitter.ts";
import type { Fusion, Unit } from "../fuse/fuse.ts";
import type { Canonical } from "../kernel/canonical.ts";
import type { PlannedCopy } from "../plan.ts";
import type { LoweredBody } from "../schedule/lower.ts";
import type { Target } from "../target.ts";
import { bufferOfPort, isStored, type Placement, type PortPlaces, placeOfPort, tensorBytes } from "./ports.ts";
import { arenaName } from "./regions.ts";
import type { PreparedOutputs, ResultPlaces, ResultRoom } from "./results.ts";

export interface StageInput extends PreparedOutputs {
  readonly name: StageName;
  /** The stage's graph before it was prepared: nodes behind its last one are copies. */
  readonly given: Graph;
  readonly storage: ProgramStorage;
  readonly target: Target;
}

/** Where ports and results of the stages up to one are. */
export interface Memory {
  readonly ports: PortPlaces;
  readonly results: ResultRoom;
}

export interface Hazards {
  /** Units that must have run before a unit, beyond those whose values it reads. */
  readonly after: ReadonlyMap<number, ReadonlySet<number>>;
  readonly displaced: readonly number[];
}

export interface ArenaPlace {
  /** Number of the arena. */
  readonly arena: number;
  readonly offset: number;
}

export interface ArenaLayout {
  readonly places: ReadonlyMap<number, ArenaPlace>;
  /** Bytes of every arena. */
  readonly bytes: readonly number[];
}

/** What the steps make of a stage, in their order. */
export interface StageSteps {
  readonly input: StageInput;
  readonly fusion: Fusion;
  /** One per unit. */
  readonly bodies: readonly LoweredBody[];
  readonly canonicals: readonly Canonical[];
  readonly hazards: Hazards;
  readonly results: ResultPlaces & { readonly copies: readonly PlannedCopy[] };
  readonly ports: PortPlaces;
  /** Units that share a dispatch, in order of execution. */
  readonly groups: readonly (readonly number[])[];
  readonly arena: ArenaLayout;
}

export const typeOf = ({ graph }: Pick<StageInput, "graph">, node: number): TensorType =>
  graph.nodes[node]!.type as TensorType;

export const isPort = ({ graph }: Pick<StageInput, "graph">, node: number): boolean => graph.nodes[node]!.op === "port";

export const isStoredPort = ({ graph, storage }: StageInput, node: number): boolean =>
  isPort({ graph }, node) && isStored(storage, graph.nodes[node]!);

/** The buffer of a value as far as it is known before arenas are laid out: all of them count as one. */
export function bufferOf(input: StageInput, results: ResultPlaces, node: number): string {
  if (isPort(input, node)) return bufferOfPort(input.storage, input.graph.nodes[node]!);
  return results.places.get(node)?.buffer ?? arenaName(0);
}

/** Where a value is that a body reads or writes. */
export function placeOf({ input, ports, results, arena }: StageSteps, { node, order }: TensorUse): Placement {
  if (isPort(input, node)) return placeOfPort(ports, input.storage, { port: input.graph.nodes[node]!, order });
  const known = results.places.get(node);
  if (known !== undefined) return known;
  const place = arena.places.get(node)!;
  const type = typeOf(input, node);
  return { buffer: arenaName(place.arena), offset: place.offset, size: tensorBytes(type), dtype: type.dtype };
}

/** Whether a unit reads a node from memory instead of computing it. */
export const isRead = ({ graph, home }: { graph: Graph; home: Fusion["home"] }, unit: Unit, id: number): boolean =>
  graph.nodes[id]!.op === "port" || (home.get(id) ?? unit.id) !== unit.id;
