/**
 * Fusion: which values are kept, and which kernel computes what. The result is a list of *units*; a unit is the work of one kernel, or of
 * one body of a grouped kernel (`layout/group.ts`).
 *
 * A value is *kept* (has a place in a unit, and in memory when another unit reads it) when it is an output, the result of a heavy op
 * (contraction, reduction, scatter, inverse), an operand of a contraction that takes arithmetic to make, or when it is read by two or more
 * kept values and made of two or more large ones. Everything else is light: it is computed where it is read.
 *
 * A kept light value is placed in the unit of one of the values that it is made of, when the two have one domain and no cycle comes of it:
 * an epilogue of a contraction, a result of a row kernel. Units that meet there are merged: contractions of one form accumulate in one
 * kernel (low-rank updates are further segments of the base product), pointwise units become one with several results. Reductions over the
 * same rows are one unit too (softmax, RMSNorm, cross entropy).
 */
import type { Graph } from "../../ir/graph.ts";
import { isHeavy } from "../../ir/registry.ts";
import { sameShape, sizeOf, type TensorType } from "../../ir/types.ts";
import type { Tuning } from "../target.ts";
import { accumulatorsOf, contractionForm, sameForm } from "./contraction-form.ts";
import { keptValues, type Liveness } from "./kept.ts";
import { type Source, sourcesOf } from "./sources.ts";
import { UnitGraph } from "./unit-graph.ts";

export type UnitForm = "map" | "rows" | "contraction" | "inverse" | "scatter";

export interface Unit {
  readonly id: number;
  readonly form: UnitForm;
  /** Domain: the shape of the results; of a row unit the shape that is reduced. */
  readonly shape: readonly number[];
  /** Row units: the reduced axes. */
  readonly axes: readonly number[];
  /** Kept values computed here, increasing. */
  readonly members: readonly number[];
  /** The chunk that all of it belongs to, if any. */
  readonly chunk?: string | undefined;
  /** Members that other units or the host read. */
  readonly stored: readonly number[];
  /** Units whose stored values this one reads. */
  readonly dependencies: readonly number[];
}

export interface Fusion {
  readonly units: readonly Unit[];
  /** Unit of every stored value. */
  readonly home: ReadonlyMap<number, number>;
}

interface Draft {
  form: UnitForm;
  shape: readonly number[];
  axes: readonly number[];
  members: number[];
  chunk?: string | undefined;
}

const shapeOf = (graph: Graph, id: number): readonly number[] => (graph.nodes[id]!.type as TensorType).shape;

export const keptAxes = (rank: number, axes: readonly number[]): number[] =>
  Array.from({ length: rank }, (_unused, i) => i).filter((i) => !axes.includes(i));

export interface FusionLimits {
  /** Storage bindings of one kernel. */
  readonly buffers: number;
  /** The buffer that a port is read from. */
  readonly bufferOf: (port: number) => string;
  readonly tuning: Pick<Tuning, "leastRows" | "mostAccumulators" | "mostMembers">;
  /** Values between kernels may all be in other buffers; otherwise they are in one. */
  readonly apart?: boolean;
}

export function fuse(graph: Graph, liveness: Liveness, limits: FusionLimits): Fusion {
  const kept = keptValues(graph, liveness);
  return new Fuser(graph, liveness, kept, limits).run();
}

class Fuser {
  private readonly units = new UnitGraph<Draft>();
  private readonly unitOf = new Map<number, number>();

  constructor(
    private readonly graph: Graph,
    private readonly liveness: Liveness,
    private readonly kept: ReadonlySet<number>,
    private readonly limits: FusionLimits,
  ) {}

  run(): Fusion {
    this.graph.nodes.forEach((_node, id) => {
      if (this.kept.has(id)) this.place(id);
    });
    this.mergeRows();
    return this.finish();
  }

  private unit(member: number): number {
    return this.units.find(this.unitOf.get(member)!);
  }

  private place(id: number): void {
    const sources = sourcesOf(this.graph, id, this.kept, this.liveness);
    const from = [...new Set(sources.map((s) => this.unit(s.member)))].sort((a, b) => b - a);
    const fits = from.filter(
      (u) =>
        this.fits(id, u, sources) &&
        this.units.get(u).members.length < this.limits.tuning.mostMembers &&
        from.every((v) => v === u || !this.units.reaches(u, v)) &&
        this.buffersOf([id], u) <= this.limits.buffers,
    );
    const [host, ...others] = fits.sort((a, b) => this.rank(b) - this.rank(a) || b - a);
    const home = host ?? this.units.add(this.draft(id), id);
    this.unitOf.set(id, home);
    this.units.get(home).members.push(id);
    this.units.grow(home, id);
    for (const u of from) if (!others.includes(u)) this.units.depend(home, u);
    for (const other of others) if (!this.tryMerge(home, other)) this.units.depend(home, other);
  }

  /** Contractions and rows are hosts before pointwise units. */
  private rank(unit: number): number {
    return this.units.get(unit).form === "map" ? 0 : 1;
  }

  private draft(id: number): Draft {
    return { ...this.form(id), members: [], chunk: this.graph.nodes[id]!.chunk };
  }

  private form(id: number): Pick<Draft, "form" | "shape" | "axes"> {
    const node = this.graph.nodes[id]!;
    const shape = shapeOf(this.graph, id);
    switch (node.op) {
      case "einsum":
        return { form: "contraction", shape, axes: [] };
      case "sum":
      case "reduce_max":
        return {
          form: "rows",
          shape: shapeOf(this.graph, node.inputs[0]!),
          axes: node.attributes.axes as readonly number[],
        };
      case "scatter_add":
        return { form: "scatter", shape, axes: [] };
      case "inverse":
        return { form: "inverse", shape, axes: [] };
      default:
        return { form: "map", shape, axes: [] };
    }
  }

  /** Whether the value can be computed inside the unit. */
  private fits(id: number, unit: number, sources: readonly Source[]): boolean {
    const draft = this.units.get(unit);
    const node = this.graph.nodes[id]!;
    const modes = sources.filter((s) => this.unit(s.member) === unit);
    const isReduction = node.op === "sum" || node.op === "reduce_max";
    if (node.chunk !== draft.chunk || (isHeavy(node) && !isReduction)) return false;
    if (draft.form === "map" || draft.form === "contraction") {
      return !isReduction && sameShape(draft.shape, shapeOf(this.graph, id)) && modes.every((s) => s.mode === "same");
    }
    if (draft.form !== "rows") return false;
    return this.fitsRows(id, draft, modes, isReduction);
  }

  private fitsRows(id: number, draft: Draft, modes: readonly Source[], isReduction: boolean): boolean {
    const rows = keptAxes(draft.shape.length, draft.axes);
    const rowShape = rows.map((axis) => draft.shape[axis]!);
    const node = this.graph.nodes[id]!;
    const domain = isReduction ? shapeOf(this.graph, node.inputs[0]!) : shapeOf(this.graph, id);
    if (isReduction && (node.attributes.axes as number[]).join() !== draft.axes.join()) return false;
    if (!isReduction && sizeOf(rowShape) < this.limits.tuning.leastRows && sizeOf(domain) > sizeOf(rowShape))
      return false;
    const isRowLevel = (member: number): boolean => this.isRowLevel(member, draft);
    if (sameShape(domain, draft.shape)) {
      return modes.every((s) => (isRowLevel(s.member) ? s.mode === `row ${rows.join()}` : s.mode === "same"));
    }
    return !isReduction && sameShape(domain, rowShape) && modes.every((s) => isRowLevel(s.member) && s.mode === "same");
  }

  private isRowLevel(member: number, draft: Draft): boolean {
    return !sameShape(shapeOf(this.graph, member), draft.shape);
  }

  private tryMerge(home: number, other: number): boolean {
    const [a, b] = [this.units.find(home), this.units.find(other)];
    if (a === b) return true;
    if (!this.mergeable(this.units.get(a), this.units.get(b))) return false;
    // A unit that reads the other one directly could not be placed in it: it reads other elements.
    if (this.units.reaches(a, b) || this.units.reaches(b, a) || this.buffersOf([], a, b) > this.limits.buffers)
      return false;
    this.units.merge(a, b, (x, y) => ({
      ...(x.form === "map" ? y : x),
      members: [...x.members, ...y.members].sort((m, n) => m - n),
    }));
    return true;
  }

  private mergeable(a: Draft, b: Draft): boolean {
    if (a.chunk !== b.chunk || !sameShape(a.shape, b.shape)) return false;
    if (a.members.length + b.members.length > this.limits.tuning.mostMembers) return false;
    if (a.form === "map" && b.form === "map") return true;
    if (a.form === "map" || b.form === "map") return a.form === "contraction" || b.form === "contraction";
    if (a.form !== b.form) return false;
    if (a.form === "rows") return a.axes.join() === b.axes.join();
    if (a.form !== "contraction") return false;
    const einsums = [...a.members, ...b.members].filter((id) => this.graph.nodes[id]!.op === "einsum");
    const forms = einsums.map((id) => contractionForm(this.graph, id));
    const alike = forms.every((f) => sameForm(forms[0]!, f));
    const groups = accumulatorsOf(this.graph, this.liveness, einsums);
    return alike && groups.length <= this.limits.tuning.mostAccumulators;
  }

  /** Buffers that one kernel for both would bind: those of the ports it reads, the arena, and one for results in storage. */
  private buffersOf(more: readonly number[], ...units: readonly number[]): number {
    const members = [...more, ...units.flatMap((u) => this.units.get(u).members)];
    const inputs = members.flatMap((m) => this.graph.nodes[m]!.inputs);
    const leaves = this.liveness.leaves(inputs, this.kept);
    const ports = leaves.filter((leaf) => !this.kept.has(leaf));
    const own = new Set(members);
    const between =
      this.limits.apart === true ? leaves.filter((leaf) => this.kept.has(leaf) && !own.has(leaf)).length : 1;
    return new Set(ports.map((port) => this.limits.bufferOf(port))).size + between + 1;
  }

  /** Row units over the same rows that read a large value in common become one, so that it is read once. */
  private mergeRows(): void {
    const rows = this.units.ids().filter((u) => this.units.get(u).form === "rows");
    const sources = new Map(rows.map((unit) => [unit, this.largeSources(unit)]));
    const readers = new Map<number, number[]>();
    for (const unit of rows)
      for (const leaf of sources.get(unit)!) readers.set(leaf, [...(readers.get(leaf) ?? []), unit]);
    /** The first unit behind another one that reads something of what the unit reads. */
    const next = (unit: number, behind: number): number | undefined => {
      const found = [...sources.get(unit)!].flatMap((leaf) => readers.get(leaf)!.find((u) => u > behind) ?? []);
      return found.length === 0 ? undefined : Math.min(...found);
    };
    for (const first of rows) {
      for (let at = next(this.units.find(first), first); at !== undefined; at = next(this.units.find(first), at)) {
        const [a, b] = [this.units.find(first), this.units.find(at)];
        if (a === b || !this.tryMerge(a, b)) continue;
        const both = new Set([...sources.get(a)!, ...sources.get(b)!]);
        sources.set(this.units.find(a), both);
      }
    }
  }

  private largeSources(unit: number): ReadonlySet<number> {
    const { shape, members } = this.units.get(unit);
    const size = sizeOf(shape);
    const leaves = members.flatMap((m) => this.liveness.leaves(this.graph.nodes[m]!.inputs, this.kept));
    return new Set(leaves.filter((leaf) => sizeOf(shapeOf(this.graph, leaf)) * 4 >= size));
  }

  /** What is read from elsewhere is stored; what is read by nobody is dropped. */
  private finish(): Fusion {
    const order = this.units.order();
    const stored = new Set<number>(this.graph.outputs.map((o) => o.node).filter((id) => this.kept.has(id)));
    const reads = new Map<number, Set<number>>();
    for (const unit of [...order].reverse()) {
      const roots = this.units.get(unit).members.filter((m) => stored.has(m));
      const read = this.readsOf(roots, unit);
      reads.set(unit, new Set([...read].map((m) => this.unit(m))));
      for (const member of read) stored.add(member);
    }
    const live = order.filter((u) => this.units.get(u).members.some((m) => stored.has(m)));
    const numbering = new Map(live.map((u, i) => [u, i]));
    const units = live.map((u, id): Unit => {
      const draft = this.units.get(u);
      const members = draft.members;
      const dependencies = [...reads.get(u)!].map((d) => numbering.get(d)!).sort((x, y) => x - y);
      return { ...draft, id, members, stored: members.filter((m) => stored.has(m)), dependencies };
    });
    return { units, home: new Map(units.flatMap((u) => u.stored.map((m): [number, number] => [m, u.id]))) };
  }

  private readsOf(roots: readonly number[], unit: number): Set<number> {
    const read = new Set<number>();
    const seen = new Set<number>();
    const visit = (id: number): void => {
      if (seen.has(id)) return;
      seen.add(id);
      if (this.kept.has(id) && this.unit(id) !== unit) read.add(id);
      else this.graph.nodes[id]!.inputs.forEach(visit);
    };
    roots.forEach(visit);
    return read;
  }
}
