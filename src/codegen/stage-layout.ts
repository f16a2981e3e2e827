import { type Graph, portName } from "../ir/graph.ts";
import { opRecord } from "../ir/registry.ts";
import type { TensorType } from "../ir/types.ts";
import type { ProgramStorage, Stage } from "../program.ts";
import { type ArenaLayout, type Lifetime, layoutArena } from "./arena.ts";
import { assemble, type Part, type Place } from "./assemble.ts";
import { type Canonical, canonicalize } from "./canonical.ts";
import type { TensorUse } from "./emitter.ts";
import { type Fusion, fuse, type Unit } from "./fuse.ts";
import { groupUnits } from "./group.ts";
import { type Hazards, hazardsOf } from "./hazards.ts";
import { livenessOf } from "./kept.ts";
import type { KernelTable } from "./kernel-table.ts";
import {
  type PortLayout,
  type PreparedStage,
  prepareOutputs,
  type ResultLayout,
  sliceOf,
  tensorBytes,
} from "./layout.ts";
import { lowerUnits } from "./lower.ts";
import { type AxisOrder, rowMajor } from "./order.ts";
import type { Dispatch, PlannedCopy, PlannedStage, PlannedValue } from "./plan.ts";
import { displacedBuffer, type Regions } from "./regions.ts";
import type { Body } from "./schedule/body.ts";
import type { Target } from "./target.ts";

/** One stage: what its kernels are, in which order they run, and where its values are; then, with the buffers laid out, its dispatches. */
export class StageLayout {
  readonly arena: ArenaLayout;
  private readonly groups: readonly (readonly number[])[];
  private readonly hazards: Hazards;
  private readonly copies: readonly PlannedCopy[];
  private readonly prepared: PreparedStage;
  private readonly graph: Graph;
  private readonly fusion: Fusion;
  private readonly bodies: readonly Body[];
  private readonly canonicals: readonly Canonical[];
  /** Places of results; intermediate values have theirs in the arena. */
  private readonly places = new Map<number, Place>();

  constructor(
    private readonly stage: Stage,
    private readonly storage: ProgramStorage,
    private readonly target: Target,
    private readonly ports: PortLayout,
    private readonly results: ResultLayout,
  ) {
    this.prepared = prepareOutputs(stage.graph, storage);
    this.graph = this.prepared.graph;
    const limit = target.limits.maxStorageBuffersPerShaderStage;
    this.fusion = fuse(this.graph, {
      buffers: limit,
      bufferOf: (port) => ports.bufferOf(this.graph.nodes[port]!),
    });
    const { uses } = livenessOf(this.graph);
    const outputs = new Set(this.prepared.outputs.map((o) => o.node));
    this.bodies = lowerUnits(this.graph, this.fusion, {
      target,
      uses,
      isResult: (node) => outputs.has(node),
      isStored: (port) => this.isStored(port),
    });
    this.canonicals = this.bodies.map(canonicalize);
    this.placeResults();
    this.hazards = this.findHazards();
    this.copies = this.hazards.displaced.map((node) => this.displace(node));
    const patient = this.patientUnits();
    this.groups = groupUnits(
      this.fusion.units.map((unit) => ({
        dependencies: new Set([...unit.dependencies, ...(this.hazards.after.get(unit.id) ?? [])]),
        key: this.groupKey(unit.id),
        canWait: patient.has(unit.id),
      })),
    );
    this.arena = this.layArena(this.groups);
  }

  private placeResults(): void {
    for (const { node, slice } of this.prepared.outputs) {
      if (this.places.has(node)) continue;
      const type = this.type(node);
      if (slice !== undefined)
        this.places.set(node, {
          buffer: slice.buffer,
          offset: 4 * slice.offset,
          size: tensorBytes(type),
          dtype: type.dtype,
        });
      else this.places.set(node, this.results.place(type));
    }
  }

  private findHazards(): Hazards {
    return hazardsOf(
      this.graph,
      this.fusion,
      this.bodies,
      this.places,
      (id) => this.portPlace(id),
      (id) => this.isStored(id),
    );
  }

  /** Gives a result a place of its own, and the copy that brings it where it belongs. */
  private displace(node: number): PlannedCopy {
    const to = this.places.get(node)!;
    const from = this.results.place(this.type(node), displacedBuffer);
    this.places.set(node, from);
    return {
      from: { buffer: from.buffer, offset: from.offset },
      to: { buffer: to.buffer, offset: to.offset },
      size: to.size,
    };
  }

  /** The stage as a device runs it, with kernels added to the table. */
  plan(regions: Regions, table: KernelTable): PlannedStage {
    const needs = this.needsOf(this.groups, new Set(this.hazards.displaced));
    const dispatches = this.groups.flatMap((group, i) =>
      this.splitByBuffer(group, regions).map((part) => this.dispatch(part, regions, table, needs[i]!)),
    );
    const outputs = this.prepared.outputs.map(({ name, node, slice }): PlannedValue => {
      const { dtype, shape } = this.stage.graph.nodes[this.stage.graph.outputs.find((o) => o.name === name)!.node]!
        .type as TensorType;
      const place = this.places.get(node)!;
      return {
        name,
        dtype,
        shape,
        buffer: slice?.buffer ?? place.buffer,
        offset: slice === undefined ? place.offset : 4 * slice.offset,
      };
    });
    return { name: this.stage.name, dispatches, copies: this.copies, outputs };
  }

  /** The units of a group that read and write the same buffers: all of them, unless the program turned out too large for one. */
  private splitByBuffer(group: readonly number[], regions: Regions): number[][] {
    const parts = new Map<string, number[]>();
    for (const unit of group) {
      const places = this.bodies[unit]!.tensors.map((use) => this.placeOf(use));
      const key = places.map((p) => regions.locate(p.buffer, p.offset).buffer).join();
      parts.set(key, [...(parts.get(key) ?? []), unit]);
    }
    return [...parts.values()];
  }

  /** Units with the same key can be parts of one dispatch: the same text, every tensor in the same buffer. */
  private groupKey(unit: number): string {
    const body = this.bodies[unit]!;
    const tensors = body.tensors.map(({ node, order, writes }) => {
      const isPort = this.graph.nodes[node]!.op === "port";
      const buffer = isPort ? this.portPlace(node, order).buffer : this.bufferOf(node);
      return `${this.target.memory === "one" ? "" : buffer} ${this.type(node).dtype} ${writes}`;
    });
    return JSON.stringify([this.canonicals[unit]!.statements, body.shared, tensors]);
  }

  /** Units that read so little that all of them together may hold it while they wait: no more than the stage's largest value. */
  private patientUnits(): ReadonlySet<number> {
    const stored = this.fusion.units.flatMap((unit) => unit.stored);
    let left = stored.reduce((most, node) => Math.max(most, tensorBytes(this.type(node))), 0);
    const held = this.bodies.map(({ tensors }, unit) => {
      const read = new Set(tensors.filter((use) => !use.writes).map(({ node }) => node));
      const own = [...read].filter((node) => this.bufferOf(node) === "arena");
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
    return this.places.get(node)?.buffer ?? "arena";
  }

  private layArena(groups: readonly (readonly number[])[]): { offsets: ReadonlyMap<number, number>; bytes: number } {
    const lifetimes = new Map<number, { from: number; to: number }>();
    groups.forEach((group, at) => {
      for (const { node } of group.flatMap((u) => this.bodies[u]!.tensors)) {
        if (this.bufferOf(node) !== "arena") continue;
        const known = lifetimes.get(node);
        lifetimes.set(node, { from: known?.from ?? at, to: at });
      }
    });
    const values = [...lifetimes].map(
      ([key, life]): Lifetime => ({ key, bytes: tensorBytes(this.type(key)), ...life }),
    );
    return layoutArena(values, this.target.limits.minStorageBufferOffsetAlignment);
  }

  /** For every group whether storage needs it, and which other outputs do. */
  private needsOf(
    groups: readonly (readonly number[])[],
    displaced: ReadonlySet<number>,
  ): { always: boolean; outputs: Set<string> }[] {
    const groupOf = new Map(groups.flatMap((group, i) => group.map((u): [number, number] => [u, i])));
    const needs = groups.map(() => ({ always: false, outputs: new Set<string>() }));
    for (let i = groups.length - 1; i >= 0; i--) {
      const own = needs[i]!;
      for (const unit of groups[i]!.map((u) => this.fusion.units[u]!)) {
        for (const { name, node, slice } of this.prepared.outputs) {
          if (!unit.stored.includes(node)) continue;
          if (slice !== undefined || displaced.has(node)) own.always = true;
          else own.outputs.add(name);
        }
      }
      for (const d of groups[i]!.flatMap((u) => this.fusion.units[u]!.dependencies)) {
        const earlier = needs[groupOf.get(d)!]!;
        earlier.always ||= own.always;
        for (const name of own.outputs) earlier.outputs.add(name);
      }
    }
    return needs;
  }

  private dispatch(
    group: readonly number[],
    regions: Regions,
    table: KernelTable,
    needs: { always: boolean; outputs: Set<string> },
  ): Dispatch {
    const placeOf = (use: TensorUse): Place => {
      const place = this.placeOf(use);
      return { ...place, ...regions.locate(place.buffer, place.offset) };
    };
    const parts = group.map((u): Part => {
      const body = this.bodies[u]!;
      return { body, canonical: this.canonicals[u]!, places: body.tensors.map(placeOf) };
    });
    const { kernel, bindings, sizes, workgroups } = assemble(parts, this.target);
    const most = this.target.limits.maxComputeWorkgroupsPerDimension;
    const nodes = [...new Set(group.flatMap((u) => this.nodesOf(this.fusion.units[u]!)))].sort((a, b) => a - b);
    return {
      kernel: table.add(parts[0]!.body.name, kernel),
      bindings,
      sizes,
      grid: [Math.min(workgroups, most), Math.ceil(workgroups / most), 1],
      nodes,
      flops: nodes.reduce((sum, id) => sum + this.flops(id), 0),
      bytes: bindings.reduce((sum, b) => sum + b.size, 0),
      always: needs.always,
      outputs: [...needs.outputs],
    };
  }

  private placeOf({ node, order }: TensorUse): Place {
    if (this.graph.nodes[node]!.op === "port") return this.portPlace(node, order);
    const { dtype } = this.type(node);
    const inArena = {
      buffer: "arena",
      offset: this.arena.offsets.get(node)!,
      size: tensorBytes(this.type(node)),
      dtype,
    };
    return this.places.get(node) ?? inArena;
  }

  private flops(id: number): number {
    const node = this.graph.nodes[id]!;
    return opRecord(node.op).cost(
      node.inputs.map((i) => this.type(i)),
      node.attributes,
      node.type,
    ).flops;
  }

  /** Nodes that are computed in the unit. */
  private nodesOf(unit: Unit): number[] {
    const seen = new Set<number>();
    const visit = (id: number): void => {
      const isRead = this.graph.nodes[id]!.op === "port" || (this.fusion.home.get(id) ?? unit.id) !== unit.id;
      if (seen.has(id) || isRead) return;
      seen.add(id);
      this.graph.nodes[id]!.inputs.forEach(visit);
    };
    unit.stored.forEach(visit);
    return [...seen].filter((id) => id < this.stage.graph.nodes.length);
  }
}
