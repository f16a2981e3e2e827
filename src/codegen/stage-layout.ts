import { type Graph, isFrozenPort, portName } from "../ir/graph.ts";
import type { TensorType } from "../ir/types.ts";
import type { ProgramStorage, Stage } from "../program.ts";
import type { TensorUse } from "./emit/emitter.ts";
import { type AxisOrder, rowMajor } from "./emit/index-maps.ts";
import { type Fusion, fuse, type Unit } from "./fuse/fuse.ts";
import { livenessOf } from "./fuse/kept.ts";
import { type Canonical, canonicalize } from "./kernel/canonical.ts";
import type { KernelTable } from "./kernel/kernel-table.ts";
import { type ArenaLayout, arenaName, type Lifetime, layoutArena } from "./layout/arena.ts";
import { assemble, type Part, type Place } from "./layout/assemble.ts";
import { checkTensors } from "./layout/binding-limit.ts";
import { countsOf } from "./layout/counts.ts";
import { groupUnits } from "./layout/group.ts";
import { type Hazards, hazardsOf } from "./layout/hazards.ts";
import { type Needs, needsOf } from "./layout/needs.ts";
import { withPortParts } from "./layout/port-parts.ts";
import {
  type PortLayout,
  type PreparedStage,
  placesOf,
  prepareOutputs,
  type ResultLayout,
  sliceOf,
  tensorBytes,
} from "./layout/ports-and-results.ts";
import { displacedBuffer, type Regions } from "./layout/regions.ts";
import type { Dispatch, PlannedCopy, PlannedStage, PlannedValue } from "./plan.ts";
import type { Body } from "./schedule/body.ts";
import { lowerUnits } from "./schedule/lower.ts";
import type { Target } from "./target.ts";

/** What a stage's kernels are, in which order they run, and where the values between them are. */
interface Arrangement {
  readonly fusion: Fusion;
  readonly bodies: readonly Body[];
  readonly canonicals: readonly Canonical[];
  readonly hazards: Hazards;
  /** Places of results; intermediate values have theirs in the arenas. */
  readonly places: ReadonlyMap<number, Place>;
  readonly copies: readonly PlannedCopy[];
  readonly groups: readonly (readonly number[])[];
  readonly arena: ArenaLayout;
}

type Units = Pick<Arrangement, "fusion" | "bodies" | "canonicals" | "hazards">;

/** One stage: its arrangement; then, with the buffers laid out, its dispatches. */
export class StageLayout {
  private readonly prepared: PreparedStage;
  private readonly graph: Graph;
  private readonly homes: ReadonlyMap<number, Place>;
  private readonly uses: readonly number[];
  private readonly made: Arrangement;

  constructor(
    private readonly stage: Stage,
    private readonly storage: ProgramStorage,
    private readonly target: Target,
    private readonly ports: PortLayout,
    private readonly results: ResultLayout,
  ) {
    this.prepared = prepareOutputs(stage.graph, storage, target.limits.maxStorageBufferBindingSize);
    this.graph = withPortParts(this.prepared.graph, (port) => this.isCut(port));
    this.uses = livenessOf(this.graph).uses;
    this.homes = placesOf(this.prepared, results);
    const made = this.arrange(false);
    this.made = this.fits(made) ? made : this.arrange(true);
    checkTensors(stage.name, this.graph, this.made.bodies, target);
  }

  get arena(): ArenaLayout {
    return this.made.arena;
  }

  /** `apart`: kernels read no more values than they could bind if every value were in another arena. */
  private arrange(apart: boolean): Arrangement {
    const { target, graph } = this;
    const fusion = fuse(graph, {
      buffers: target.limits.maxStorageBuffersPerShaderStage,
      bufferOf: (port) => this.ports.bufferOf(graph.nodes[port]!),
      apart,
    });
    const bodies = lowerUnits(graph, fusion, {
      target,
      uses: this.uses,
      isResult: (node) => this.homes.has(node),
      isStored: (port) => this.isStored(port),
    });
    const canonicals = bodies.map(canonicalize);
    const hazards = hazardsOf(
      graph,
      fusion,
      bodies,
      this.homes,
      (id) => this.portPlace(id),
      (id) => this.isStored(id),
    );
    const places = new Map(this.homes);
    const copies = hazards.displaced.map((node) => this.displace(node, places));
    const groups = this.group({ fusion, bodies, canonicals, hazards });
    return { fusion, bodies, canonicals, hazards, places, copies, groups, arena: this.layArena(bodies, groups) };
  }

  private group({ fusion, bodies, canonicals, hazards }: Units): number[][] {
    const patient = this.patientUnits(fusion, bodies);
    const pieces = new Set(this.prepared.outputs.filter((o) => o.from !== undefined).map((o) => o.node));
    return groupUnits(
      fusion.units.map((unit) => ({
        dependencies: new Set([...unit.dependencies, ...(hazards.after.get(unit.id) ?? [])]),
        key: this.groupKey(unit, bodies[unit.id]!, canonicals[unit.id]!),
        canWait: unit.chunk === undefined && patient.has(unit.id),
        isUrgent: unit.stored.every((node) => pieces.has(node)),
      })),
    );
  }

  /** Whether every kernel can bind the buffers that it reads and writes. */
  private fits(made: Arrangement): boolean {
    const most = this.target.limits.maxStorageBuffersPerShaderStage;
    return made.bodies.every(
      ({ tensors }) => new Set(tensors.map((use) => this.placeOf(use, made).buffer)).size <= most,
    );
  }

  /** A frozen port that no binding can hold. */
  private isCut(port: number): boolean {
    const node = this.prepared.graph.nodes[port]!;
    const isLarge = (): boolean =>
      tensorBytes(node.type as TensorType) > this.target.limits.maxStorageBufferBindingSize;
    return isFrozenPort(node) && sliceOf(this.storage, portName(node)) === undefined && isLarge();
  }

  /** Gives a result a place of its own, and the copy that brings it where it belongs. */
  private displace(node: number, places: Map<number, Place>): PlannedCopy {
    const to = places.get(node)!;
    const from = this.results.placeIn(displacedBuffer, this.type(node));
    places.set(node, from);
    return {
      from: { buffer: from.buffer, offset: from.offset },
      to: { buffer: to.buffer, offset: to.offset },
      size: to.size,
    };
  }

  /** The stage as a device runs it, with kernels added to the table. */
  plan(regions: Regions, table: KernelTable): PlannedStage {
    const { groups, fusion, hazards, places, copies } = this.made;
    const needs = needsOf(groups, fusion, this.prepared.outputs, new Set(hazards.displaced));
    const dispatches = groups.flatMap((group, i) =>
      this.splitByBuffer(group, regions).map((part) => this.dispatch(part, regions, table, needs[i]!)),
    );
    const outputs = this.prepared.outputs.map(({ name, node, slice, from }): PlannedValue => {
      const whole = this.stage.graph.outputs.find((o) => o.name === name)!.node;
      const { dtype, shape } =
        from === undefined ? (this.stage.graph.nodes[whole]!.type as TensorType) : this.type(node);
      const place = places.get(node)!;
      return {
        name,
        dtype,
        shape,
        buffer: slice?.buffer ?? place.buffer,
        offset: slice === undefined ? place.offset : 4 * slice.offset,
        ...(from === undefined ? {} : { from }),
      };
    });
    return { name: this.stage.name, dispatches, copies, outputs };
  }

  /** The units of a group that read and write the same buffers: all of them, unless the program turned out too large for one. */
  private splitByBuffer(group: readonly number[], regions: Regions): number[][] {
    const parts = new Map<string, number[]>();
    for (const unit of group) {
      const places = this.made.bodies[unit]!.tensors.map((use) => this.placeOf(use));
      const key = places.map((p) => regions.locate(p.buffer, p.offset).buffer).join();
      parts.set(key, [...(parts.get(key) ?? []), unit]);
    }
    return [...parts.values()];
  }

  /** Units with the same key can be parts of one dispatch: the same text, every tensor in the same buffer. */
  private groupKey({ chunk = "" }: Unit, body: Body, canonical: Canonical): string {
    const tensors = body.tensors.map(({ node, order, writes }) => {
      const isPort = this.graph.nodes[node]!.op === "port";
      const buffer = isPort ? this.portPlace(node, order).buffer : this.bufferOf(node);
      return `${this.target.memory === "one" ? "" : buffer} ${this.type(node).dtype} ${writes}`;
    });
    return JSON.stringify([canonical.statements, body.shared, tensors, chunk]);
  }

  /** Units that read so little that all of them together may hold it while they wait: no more than the stage's largest value. */
  private patientUnits(fusion: Fusion, bodies: readonly Body[]): ReadonlySet<number> {
    const stored = fusion.units.flatMap((unit) => unit.stored);
    let left = stored.reduce((most, node) => Math.max(most, tensorBytes(this.type(node))), 0);
    const held = bodies.map(({ tensors }, unit) => {
      const read = new Set(tensors.filter((use) => !use.writes).map(({ node }) => node));
      const own = [...read].filter((node) => this.bufferOf(node) === arenaName(0));
      return { unit, bytes: own.reduce((sum, node) => sum + tensorBytes(this.type(node)), 0) };
    });
    const patient = held
      .sort((x, y) => x.bytes - y.bytes || x.unit - y.unit)
      .filter(({ bytes }) => {
        left -= bytes;
        return left >= 0;
      });
    return new Set(patient.map(({ unit }) => unit));
  }

  private isStored(port: number): boolean {
    return sliceOf(this.storage, portName(this.graph.nodes[port]!)) !== undefined;
  }

  private portPlace(node: number, order: AxisOrder = rowMajor(this.type(node).shape.length)): Place {
    return this.ports.placeOf(this.graph.nodes[node]!, order);
  }

  private type(node: number): TensorType {
    return this.graph.nodes[node]!.type as TensorType;
  }

  private bufferOf(node: number): string {
    if (this.graph.nodes[node]!.op === "port") return this.ports.bufferOf(this.graph.nodes[node]!);
    return this.homes.get(node)?.buffer ?? arenaName(0);
  }

  private layArena(bodies: readonly Body[], groups: readonly (readonly number[])[]): ArenaLayout {
    const lifetimes = new Map<number, { from: number; to: number }>();
    groups.forEach((group, at) => {
      for (const { node } of group.flatMap((u) => bodies[u]!.tensors)) {
        if (this.bufferOf(node) !== arenaName(0)) continue;
        const known = lifetimes.get(node);
        lifetimes.set(node, { from: known?.from ?? at, to: at });
      }
    });
    const values = [...lifetimes].map(
      ([key, life]): Lifetime => ({ key, bytes: tensorBytes(this.type(key)), ...life }),
    );
    const { minStorageBufferOffsetAlignment: alignment, maxStorageBufferBindingSize: largest } = this.target.limits;
    return layoutArena(values, alignment, largest);
  }

  private dispatch(group: readonly number[], regions: Regions, table: KernelTable, needs: Needs): Dispatch {
    const placeOf = (use: TensorUse): Place => {
      const place = this.placeOf(use);
      return { ...place, ...regions.locate(place.buffer, place.offset) };
    };
    const parts = group.map((u): Part => {
      const body = this.made.bodies[u]!;
      return { body, canonical: this.made.canonicals[u]!, places: body.tensors.map(placeOf) };
    });
    const { kernel, bindings, sizes, workgroups } = assemble(parts, this.target);
    const most = this.target.limits.maxComputeWorkgroupsPerDimension;
    const units = group.map((u) => this.made.fusion.units[u]!);
    const nodes = [...new Set(units.flatMap((unit) => this.nodesOf(unit)))].sort((a, b) => a - b);
    return {
      kernel: table.add(parts[0]!.body.name, kernel),
      bindings,
      sizes,
      grid: [Math.min(workgroups, most), Math.ceil(workgroups / most), 1],
      nodes,
      ...countsOf(this.graph, units, (unit, id) => this.isRead(unit, id)),
      always: needs.always,
      outputs: [...needs.outputs],
    };
  }

  private placeOf({ node, order }: TensorUse, { places, arena: arenas } = this.made): Place {
    if (this.graph.nodes[node]!.op === "port") return this.portPlace(node, order);
    const known = places.get(node);
    if (known !== undefined) return known;
    const { arena, offset } = arenas.places.get(node)!;
    return { buffer: arenaName(arena), offset, size: tensorBytes(this.type(node)), dtype: this.type(node).dtype };
  }

  /** Whether a unit reads a node from memory instead of computing it. */
  private isRead(unit: Unit, id: number): boolean {
    return this.graph.nodes[id]!.op === "port" || (this.made.fusion.home.get(id) ?? unit.id) !== unit.id;
  }

  /** Nodes that are computed in the unit. */
  private nodesOf(unit: Unit): number[] {
    const seen = new Set<number>();
    const visit = (id: number): void => {
      if (seen.has(id) || this.isRead(unit, id)) return;
      seen.add(id);
      this.graph.nodes[id]!.inputs.forEach(visit);
    };
    unit.stored.forEach(visit);
    return [...seen].filter((id) => id < this.stage.graph.nodes.length);
  }
}
