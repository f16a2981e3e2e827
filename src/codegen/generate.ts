/**
 * Code generation: the stages of a program and a target in, kernels and plan out. Pure and deterministic, no device.
 *
 *   stage graph -> fuse (units) -> schedule (bodies of kernel IR) -> group (dispatches) -> arena -> assemble -> canonical -> WGSL
 */
import { type Graph, portName } from "../ir/graph.ts";
import { opRecord } from "../ir/registry.ts";
import type { TensorType } from "../ir/types.ts";
import type { ProgramStorage, Stage } from "../program.ts";
import { type Lifetime, layoutArena } from "./arena.ts";
import { assemble, type Part, type Place } from "./assemble.ts";
import { type Canonical, canonicalize, textHash } from "./canonical.ts";
import type { TensorUse } from "./emitter.ts";
import { type Fusion, fuse, type Unit } from "./fuse.ts";
import { groupUnits } from "./group.ts";
import { hazardsOf } from "./hazards.ts";
import { livenessOf } from "./kept.ts";
import type { KernelIR } from "./kernel.ts";
import { PortLayout, type PreparedStage, prepareOutputs, sliceOf, slot, tensorBytes } from "./layout.ts";
import { lowerUnits } from "./lower.ts";
import { type AxisOrder, rowMajor } from "./order.ts";
import {
  alignUp,
  type BufferSpec,
  type Dispatch,
  type Generated,
  type GeneratedKernel,
  type PlannedStage,
  type PlannedValue,
} from "./plan.ts";
import type { Body } from "./schedule/body.ts";
import type { Target } from "./target.ts";
import { printWgsl } from "./wgsl.ts";

/** Kernels of a program, shared by text. */
class KernelTable {
  readonly kernels: GeneratedKernel[] = [];
  private readonly names = new Map<string, string>();

  add(kind: string, kernel: KernelIR): string {
    const wgsl = printWgsl(kernel);
    const known = this.names.get(wgsl);
    if (known !== undefined) return known;
    const name = `${kind}_${textHash(wgsl)}`;
    this.names.set(wgsl, name);
    const { workgroup, bindings, sizes } = kernel;
    this.kernels.push({ name, wgsl, ir: JSON.stringify(kernel), workgroup, bindings, sizes });
    return name;
  }
}

export function generate(stages: readonly Stage[], storage: ProgramStorage, target: Target): Generated {
  const table = new KernelTable();
  const ports = new PortLayout(stages, storage, target.limits.maxStorageBufferBindingSize);
  const outputs: BufferSpec = { name: "outputs", bytes: 0 };
  let [outputBytes, arenaBytes] = [outputs.bytes, 0];
  const planned = stages.map((stage): PlannedStage => {
    const made = new StageGenerator(stage, storage, target, ports, table, outputBytes).run();
    outputBytes = made.outputBytes;
    arenaBytes = Math.max(arenaBytes, made.arenaBytes);
    return made.stage;
  });
  const buffers = ports.buffers();
  if (outputBytes > 0) buffers.push({ name: "outputs", bytes: outputBytes });
  if (arenaBytes > 0) buffers.push({ name: "arena", bytes: arenaBytes });
  const peakBytes = buffers.reduce((sum, b) => sum + b.bytes, 0);
  return {
    kernels: table.kernels,
    plan: { buffers, inputs: ports.inputs, weights: ports.weights, stages: planned, peakBytes },
  };
}

interface StageResult {
  readonly stage: PlannedStage;
  readonly outputBytes: number;
  readonly arenaBytes: number;
}

class StageGenerator {
  private readonly prepared: PreparedStage;
  private readonly graph: Graph;
  private readonly fusion: Fusion;
  private readonly bodies: readonly Body[];
  private readonly canonicals: readonly Canonical[];
  /** Places of results; intermediate values have theirs in the arena. */
  private readonly results = new Map<number, Place>();

  constructor(
    private readonly stage: Stage,
    private readonly storage: ProgramStorage,
    private readonly target: Target,
    private readonly ports: PortLayout,
    private readonly table: KernelTable,
    private outputBytes: number,
  ) {
    this.prepared = prepareOutputs(stage.graph, storage);
    this.graph = this.prepared.graph;
    const limit = target.limits.maxStorageBuffersPerShaderStage;
    this.fusion = fuse(this.graph, {
      buffers: limit,
      bufferOf: (port) => ports.bufferOf(this.graph.nodes[port]!),
    });
    const { uses } = livenessOf(this.graph);
    const results = new Set(this.prepared.outputs.map((o) => o.node));
    this.bodies = lowerUnits(this.graph, this.fusion, {
      target,
      uses,
      isResult: (node) => results.has(node),
      isStored: (port) => this.isStored(port),
    });
    this.canonicals = this.bodies.map(canonicalize);
  }

  run(): StageResult {
    for (const { node, slice } of this.prepared.outputs) {
      if (this.results.has(node)) continue;
      const type = this.type(node);
      if (slice !== undefined)
        this.results.set(node, {
          buffer: slice.buffer,
          offset: 4 * slice.offset,
          size: tensorBytes(type),
          dtype: type.dtype,
        });
      else this.results.set(node, this.newOutput(node));
    }
    const hazards = hazardsOf(
      this.graph,
      this.fusion,
      this.bodies,
      this.results,
      (id) => this.portPlace(id),
      (id) => this.isStored(id),
    );
    const copies = hazards.displaced.map((node) => {
      const to = this.results.get(node)!;
      const from = this.newOutput(node);
      this.results.set(node, from);
      return {
        from: { buffer: from.buffer, offset: from.offset },
        to: { buffer: to.buffer, offset: to.offset },
        size: to.size,
      };
    });
    const groups = groupUnits(
      this.fusion.units.map((unit) => ({
        dependencies: new Set([...unit.dependencies, ...(hazards.after.get(unit.id) ?? [])]),
        key: this.groupKey(unit.id),
      })),
    );
    const arena = this.layArena(groups);
    const needs = this.needsOf(groups, new Set(hazards.displaced));
    const dispatches = groups.map((group, i) => this.dispatch(group, arena.offsets, needs[i]!));
    const outputs = this.prepared.outputs.map(({ name, node, slice }): PlannedValue => {
      const { dtype, shape } = this.stage.graph.nodes[this.stage.graph.outputs.find((o) => o.name === name)!.node]!
        .type as TensorType;
      const place = this.results.get(node)!;
      return {
        name,
        dtype,
        shape,
        buffer: slice?.buffer ?? place.buffer,
        offset: slice === undefined ? place.offset : 4 * slice.offset,
      };
    });
    return {
      stage: { name: this.stage.name, dispatches, copies, outputs },
      outputBytes: this.outputBytes,
      arenaBytes: arena.bytes,
    };
  }

  /** Units with the same key can be parts of one dispatch: the same text, every tensor in the same buffer. */
  private groupKey(unit: number): string {
    const body = this.bodies[unit]!;
    const tensors = body.tensors.map(({ node, order, writes }) => {
      const isPort = this.graph.nodes[node]!.op === "port";
      const buffer = isPort ? this.portPlace(node, order).buffer : this.bufferOf(node);
      return `${buffer} ${this.type(node).dtype} ${writes}`;
    });
    return JSON.stringify([this.canonicals[unit]!.statements, body.shared, tensors]);
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

  private newOutput(node: number): Place {
    const type = this.type(node);
    const place = { buffer: "outputs", offset: this.outputBytes, size: tensorBytes(type), dtype: type.dtype };
    this.outputBytes += alignUp(place.size, slot);
    return place;
  }

  private bufferOf(node: number): string {
    if (this.graph.nodes[node]!.op === "port") return this.ports.bufferOf(this.graph.nodes[node]!);
    return this.results.get(node)?.buffer ?? "arena";
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
    offsets: ReadonlyMap<number, number>,
    needs: { always: boolean; outputs: Set<string> },
  ): Dispatch {
    const placeOf = ({ node, order }: TensorUse): Place => {
      if (this.graph.nodes[node]!.op === "port") return this.portPlace(node, order);
      const type = this.type(node);
      return (
        this.results.get(node) ?? {
          buffer: "arena",
          offset: offsets.get(node)!,
          size: tensorBytes(type),
          dtype: type.dtype,
        }
      );
    };
    const parts = group.map((u): Part => {
      const body = this.bodies[u]!;
      return { body, canonical: this.canonicals[u]!, places: body.tensors.map(placeOf) };
    });
    const { kernel, bindings, sizes, workgroups } = assemble(parts, this.target);
    const most = this.target.limits.maxComputeWorkgroupsPerDimension;
    const nodes = [...new Set(group.flatMap((u) => this.nodesOf(this.fusion.units[u]!)))].sort((a, b) => a - b);
    return {
      kernel: this.table.add(parts[0]!.body.name, kernel),
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
