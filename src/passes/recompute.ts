/**
 * Recomputation: values of the forward pass that only the backward pass still reads are made again there, from the few values that lie on
 * the narrow places between the parts of the forward pass (the residual stream between layers), so that they need not be kept till then.
 *
 * What is made again is the same ops on the same numbers. It reads the narrow places through `stop_gradient`, so that it is not taken for what was
 * made before, and its nodes are of a chunk that is run as late as possible.
 */
import { type Graph, isFrozenPort, liveNodes, type Node, recomputedChunk } from "../ir/graph.ts";
import { bytesOf } from "../ir/ops/common.ts";
import { flopsOf, opRecord } from "../ir/registry.ts";
import type { PassResult } from "./manager.ts";

/** A part of the forward pass: its nodes `from` to `to` (exclusive), the values that pass its end, and bytes that it would not keep. */
export interface Segment {
  readonly from: number;
  readonly to: number;
  readonly passed: ReadonlySet<number>;
  readonly saved: number;
}

/** How much wider than a narrow place its surroundings are. */
const rise = 1.5;

const isGradient = (output: string): boolean => output.startsWith("grad.");

interface Facts {
  /** Nodes that other outputs than gradients need. */
  readonly forward: readonly boolean[];
  /** Of the forward pass, nodes that depend on what is not frozen, ports aside. */
  readonly made: readonly boolean[];
  /** For every made value that is no view, the last node of the forward pass that reads it, through views or not. */
  readonly lastRead: readonly number[];
}

const isView = ({ op }: Node): boolean => opRecord(op).opClass === "movement";

function factsOf(graph: Graph): Facts {
  const forward = liveNodes({ ...graph, outputs: graph.outputs.filter(({ name }) => !isGradient(name)) });
  const frozen: boolean[] = [];
  for (const node of graph.nodes)
    frozen.push(node.op === "port" ? isFrozenPort(node) : node.inputs.every((input) => frozen[input]));
  const made = graph.nodes.map(({ op }, id) => forward[id]! && !frozen[id] && op !== "port");
  const lastRead = graph.nodes.map((_node, id) => id);
  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    if (!forward[id]) continue;
    const node = graph.nodes[id]!;
    const last = isView(node) ? lastRead[id]! : id;
    for (const input of node.inputs) lastRead[input] = Math.max(lastRead[input]!, last);
  }
  return { forward, made, lastRead };
}

interface ForwardPass extends Facts {
  /** Made values that are no views. */
  readonly values: readonly number[];
  /** The places between the layers: what stands behind the last product is the loss. */
  readonly places: readonly number[];
}

function forwardPass(graph: Graph): ForwardPass {
  const facts = factsOf(graph);
  const { made, lastRead } = facts;
  const values = graph.nodes.flatMap((node, id) => (made[id] && !isView(node) ? [id] : []));
  const width = new Float64Array(graph.nodes.length + 1);
  for (const id of values) {
    const bytes = bytesOf(graph.nodes[id]!.type);
    width[id + 1]! += bytes;
    width[lastRead[id]! + 1]! -= bytes;
  }
  for (let at = 1; at < width.length; at++) width[at]! += width[at - 1]!;
  const head = graph.nodes.findLastIndex(({ op }, id) => made[id] && op === "einsum");
  return { ...facts, values, places: narrowPlaces(width).filter((at) => at <= head) };
}

/** Bytes of the largest value of the layers: what is larger belongs to the head and the loss. */
export function largestInLayers(graph: Graph): number {
  const { values, places } = forwardPass(graph);
  const end = places.at(-1) ?? 0;
  return values.reduce((most, id) => (id < end ? Math.max(most, bytesOf(graph.nodes[id]!.type)) : most), 0);
}

/** The parts of the forward pass between its narrow places, in order, that would keep something for the backward pass, but for the loss. */
export function segmentsOf(graph: Graph): readonly Segment[] {
  const { forward, lastRead, values, places } = forwardPass(graph);
  const passedAt = (at: number): ReadonlySet<number> => new Set(values.filter((id) => id < at && lastRead[id]! >= at));
  const readBehind = graph.nodes.map(() => false);
  graph.nodes.forEach(({ inputs }, id) => {
    if (!forward[id]) for (const input of inputs) readBehind[input] = true;
  });
  for (let id = graph.nodes.length - 1; id >= 0; id--)
    if (readBehind[id] && isView(graph.nodes[id]!))
      for (const input of graph.nodes[id]!.inputs) readBehind[input] = true;
  const segments = places.map((to, i): Segment => {
    const [from, passed] = [places[i - 1] ?? 0, passedAt(to)];
    const kept = values.filter((id) => id >= from && id < to && readBehind[id] && !passed.has(id));
    return { from, to, passed, saved: kept.reduce((sum, id) => sum + bytesOf(graph.nodes[id]!.type), 0) };
  });
  return segments.filter(({ saved }) => saved > 0);
}

/** Places before which little is alive that is read behind them, between places where more is. */
function narrowPlaces(width: Float64Array): number[] {
  const places: number[] = [];
  let [low, lowest, high, falls] = [0, Number.POSITIVE_INFINITY, 0, false];
  width.forEach((bytes, at) => {
    if (falls && bytes < lowest) [low, lowest] = [at, bytes];
    if (falls && bytes >= rise * lowest) {
      places.push(low);
      [falls, high] = [false, bytes];
    }
    high = Math.max(high, bytes);
    if (!falls && bytes > 0 && bytes * rise <= high) [falls, low, lowest] = [true, at, bytes];
  });
  return places;
}

/** The graph with the first `count` of its segments made again for the backward pass. */
export function recompute(graph: Graph, count: number): PassResult {
  const chosen = segmentsOf(graph).slice(0, count);
  if (chosen.length === 0) return { graph };
  const writer = new Recomputer(graph, factsOf(graph));
  const bytes = chosen.reduce((sum, { saved }) => sum + saved, 0);
  const decision = `${chosen.length} parts made again`;
  return {
    graph: writer.write(chosen),
    notes: [{ scope: graph.name, decision, candidates: { [decision]: 0, "kept for the backward pass": bytes } }],
  };
}

/** What it would spare and take to make each of the segments again, with the modules that are in it. */
export function recomputeCosts(graph: Graph): { scopes: string[]; saves: number; flops: number }[] {
  const writer = new Recomputer(graph, factsOf(graph));
  return segmentsOf(graph).map((segment) => {
    const members = [...writer.membersOf(segment)].map((id) => graph.nodes[id]!);
    const flops = members.reduce((sum, node) => sum + flopsOf(graph, node), 0);
    const scopes = [...new Set(members.map(({ scope = "" }) => scope))].filter((scope) => scope !== "");
    return { scopes, saves: segment.saved, flops };
  });
}

class Recomputer {
  private readonly nodes: Node[] = [];
  /** New ids of the nodes of the graph. */
  private readonly ids: number[] = [];
  /** What the backward pass reads in the place of a value of the forward pass. */
  private readonly again = new Map<number, number>();

  constructor(
    private readonly graph: Graph,
    private readonly facts: Facts,
  ) {}

  write(segments: readonly Segment[]): Graph {
    const { forward } = this.facts;
    const own = segments.map((segment) => this.membersOf(segment));
    const segmentOf = new Map(own.flatMap((members, i) => [...members].map((id) => [id, i] as const)));
    const done = new Set<number>();
    this.graph.nodes.forEach((node, id) => {
      const reads = forward[id] ? [] : node.inputs.map((input) => segmentOf.get(input));
      for (const i of reads) {
        if (i === undefined || done.has(i)) continue;
        done.add(i);
        this.makeAgain(
          [...own[i]!].sort((a, b) => a - b),
          recomputedChunk(i),
        );
      }
      const inputs = node.inputs.map((input) => (forward[id] ? undefined : this.again.get(input)) ?? this.ids[input]!);
      this.ids.push(this.add({ ...node, inputs, from: [id] }));
    });
    const outputs = this.graph.outputs.map(({ name, node }) => ({ name, node: this.ids[node]! }));
    return { name: this.graph.name, nodes: this.nodes, outputs };
  }

  private add(node: Node): number {
    return this.nodes.push(node) - 1;
  }

  /** The nodes of a segment that what the backward pass reads of it is made of. */
  membersOf({ from, to, passed }: Segment): ReadonlySet<number> {
    const { forward, made } = this.facts;
    const members = new Set<number>();
    const visit = (id: number): void => {
      if (id < from || id >= to || !made[id] || passed.has(id) || members.has(id)) return;
      members.add(id);
      this.graph.nodes[id]!.inputs.forEach(visit);
    };
    this.graph.nodes.forEach(({ inputs }, id) => {
      if (!forward[id]) inputs.forEach(visit);
    });
    return members;
  }

  /** Whether a value of outside is one of floats that is not frozen. */
  private isHeld(id: number): boolean {
    const node = this.graph.nodes[id]!;
    const changes = node.op === "port" ? !isFrozenPort(node) : this.facts.made[id]!;
    return changes && node.type.kind === "tensor" && node.type.dtype === "f32";
  }

  private makeAgain(members: readonly number[], chunk: string): void {
    const outside = new Map<number, number>();
    const read = (input: number): number => {
      const known = this.again.get(input) ?? outside.get(input);
      if (known !== undefined) return known;
      if (!this.isHeld(input)) return this.ids[input]!;
      const { type } = this.graph.nodes[input]!;
      const held = { op: "stop_gradient", inputs: [this.ids[input]!], attributes: {}, type, chunk, from: [input] };
      outside.set(input, this.add(held));
      return outside.get(input)!;
    };
    for (const id of members) {
      const node = this.graph.nodes[id]!;
      this.again.set(id, this.add({ ...node, inputs: node.inputs.map(read), chunk, from: [id] }));
    }
  }
}
