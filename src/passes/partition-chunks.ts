/** Which values are computed in chunks, and along which axes. */

import { type Cut, cutsOf, type Range } from "../ir/cuts.ts";
import { type Graph, isFrozenPort, usersOf, wholeChunk } from "../ir/graph.ts";
import { bytesOf } from "../ir/ops/common.ts";
import { opRecord } from "../ir/registry.ts";
import { type TensorType, typeText } from "../ir/types.ts";
import type { CostNote } from "./lower-operators.ts";
import { checkParts, partCount, rangesOf } from "./partition-parts.ts";

interface Member {
  /** Values of a group have the same chunks. */
  readonly group: number;
  readonly cut: Cut;
}

export interface Chunked {
  readonly name: string;
  readonly members: ReadonlyMap<number, Member>;
  readonly groups: readonly (readonly Range[])[];
  readonly notes: readonly CostNote[];
}

/** Of a binding, what a chunk fills: several chunks are alive at the same time. */
const share = 1 / 4;

export function chunksOf(graph: Graph, limit: number, name: string): Chunked {
  return new Chunker(graph, limit).run(name);
}

class Chunker {
  private readonly members = new Map<number, Member>();
  private readonly groups: (readonly Range[])[] = [];
  private readonly notes: CostNote[] = [];
  private readonly users: number[][];
  private readonly large: readonly boolean[];
  private written = 0;

  constructor(
    private readonly graph: Graph,
    private readonly limit: number,
  ) {
    this.users = usersOf(graph);
    const views = viewsOfFrozen(graph);
    this.large = graph.nodes.map((node, id) => {
      const isOp = opRecord(node.op).opClass !== "leaf" && node.chunk !== wholeChunk;
      return isOp && !views[id] && bytesOf(this.type(id)) > limit;
    });
  }

  run(name: string): Chunked {
    const large = this.graph.nodes.flatMap((_node, id) => (this.large[id] && !this.isLight(id) ? [id] : []));
    // However they are cut, each takes as many parts as are in its size: told before any is made.
    for (const id of large) this.bound(id, Math.ceil(bytesOf(this.type(id)) / this.limit));
    this.written = 0;
    for (const id of large) if (!this.members.has(id)) this.cutAround(id);
    if (this.members.size > 0) this.cutSmall();
    return { name, members: this.members, groups: this.groups, notes: this.notes };
  }

  private type(id: number): TensorType {
    return this.graph.nodes[id]!.type as TensorType;
  }

  private cuts(id: number): readonly Cut[] {
    const node = this.graph.nodes[id]!;
    return cutsOf(
      node,
      node.inputs.map((i) => this.type(i)),
    );
  }

  /** Views and random numbers are made where they are read: they begin no group, but belong to one where they are between its values. */
  private isLight(id: number): boolean {
    return ["movement", "random"].includes(opRecord(this.graph.nodes[id]!.op).opClass);
  }

  /** Makes a group of a large value and those that it is connected with, along the outermost axis that all of them have. */
  private cutAround(seed: number): void {
    const { shape } = this.type(seed);
    for (const [axis, extent] of shape.entries()) {
      const found = extent > 1 ? this.spread(seed, axis) : undefined;
      if (found === undefined) continue;
      const largest = Math.max(...[...found.keys()].map((id) => bytesOf(this.type(id))));
      this.bound(seed, found.size * partCount(extent, largest / extent, this.limit * share));
      const ranges = rangesOf(extent, largest / extent, this.limit * share);
      for (const [id, cut] of found) this.members.set(id, { group: this.groups.length, cut });
      this.groups.push(ranges);
      const decision = `${ranges.length} chunks along axis ${axis}`;
      const [{ from, to }] = ranges as [Range];
      this.notes.push({
        scope: this.graph.nodes[seed]!.scope ?? "",
        decision,
        candidates: { [decision]: (largest / extent) * (to - from), [`${typeText(this.type(seed))} whole`]: largest },
      });
      return;
    }
  }

  /** Throws `COMPILE-LIMIT` for a value that is so large that its chunks are too many. */
  private bound(seed: number, written: number): void {
    this.written += written;
    const { scope = this.graph.name, type } = this.graph.nodes[seed]!;
    checkParts(this.written, { where: scope, what: typeText(type), limit: this.limit });
  }

  /** The large values that have to be cut when one is, with their cuts; undefined when one of them cannot be. */
  private spread(seed: number, axis: number): ReadonlyMap<number, Cut> | undefined {
    const found = new Map<number, Cut>();
    const visit = (id: number, along: number): boolean => {
      const known = found.get(id);
      if (known !== undefined) return known.output === along;
      if (this.members.has(id)) return true;
      const cut = this.cuts(id).find(({ output }) => output === along);
      // A view that cannot be cut is read whole, where it is read.
      if (cut === undefined) return this.isLight(id);
      found.set(id, cut);
      const { inputs } = this.graph.nodes[id]!;
      const inward = inputs.every((input, place) => {
        const own = cut.inputs[place];
        return own === undefined || !this.large[input] || visit(input, own);
      });
      return inward && this.users[id]!.every((user) => !this.large[user] || this.visitUser(user, id, along, visit));
    };
    return visit(seed, axis) ? found : undefined;
  }

  private visitUser(user: number, id: number, along: number, visit: (id: number, along: number) => boolean): boolean {
    const cut = this.cutThat(user, (input) => (input === id ? along : undefined));
    return cut?.output === undefined ? this.isLight(user) : visit(user, cut.output);
  }

  /** The cut of a node that goes along the given axes of its inputs. */
  private cutThat(id: number, axisOf: (input: number) => number | undefined): Cut | undefined {
    const { inputs } = this.graph.nodes[id]!;
    return this.cuts(id).find((cut) =>
      inputs.every((input, place) => {
        const axis = axisOf(input);
        return axis === undefined || cut.inputs[place] === axis;
      }),
    );
  }

  /**
   * Small values that belong to chunks: what reads a large one (and so takes it chunk by chunk), and what lies between two large ones (the
   * maximum and the sum of a softmax), so that a chunk does not wait for the others.
   */
  private cutSmall(): void {
    const leadsToLarge = this.leadingToLarge();
    /** Small members that go on: no products, whose readers are other layers. */
    const passes = new Set<number>();
    this.graph.nodes.forEach((node, id) => {
      if (this.large[id]) return;
      const own = node.inputs.filter((input) => this.members.get(input)?.cut.output !== undefined);
      const readsLarge = own.some((input) => this.large[input]);
      const between = leadsToLarge[id] && own.some((input) => passes.has(input));
      if (!readsLarge && !between) return;
      const group = this.members.get(own[0]!)!.group;
      if (own.some((input) => this.members.get(input)!.group !== group)) return;
      const cut = this.cutThat(id, (input) => this.members.get(input)?.cut.output);
      if (cut === undefined) return;
      this.members.set(id, { group, cut });
      if (["pointwise", "reduce", "movement"].includes(opRecord(node.op).opClass)) passes.add(id);
    });
  }

  private leadingToLarge(): boolean[] {
    const leads = this.graph.nodes.map(() => false);
    for (let id = leads.length - 1; id >= 0; id--)
      leads[id] = this.users[id]!.some((user) => this.large[user] || leads[user]);
    return leads;
  }
}

/** Nodes that are weights and constants looked at in another way: kernels make them where they read them. */
function viewsOfFrozen(graph: Graph): boolean[] {
  const views: boolean[] = [];
  for (const node of graph.nodes) {
    const { opClass } = opRecord(node.op);
    const isFrozen = node.op !== "port" || isFrozenPort(node);
    views.push(["leaf", "pointwise", "movement"].includes(opClass) && isFrozen && node.inputs.every((i) => views[i]!));
  }
  return views;
}
