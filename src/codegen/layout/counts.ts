/**
 * What a dispatch computes and moves: flops of the elements that it makes, and bytes of those that it reads from memory and writes there, each once,
 * also where several of its units read them. Work before a lookup or a slice counts for the elements that are taken, not for the whole table.
 */
import type { Graph, Node } from "../../ir/graph.ts";
import { opRecord } from "../../ir/registry.ts";
import { byteWidth, sizeOf, type TensorType } from "../../ir/types.ts";
import type { Unit } from "../fuse/fuse.ts";

export interface Counts {
  readonly flops: number;
  /** Bytes. */
  readonly reads: number;
  readonly writes: number;
}

const typeOf = (node: Node): TensorType => node.type as TensorType;
const elementsOf = (node: Node): number => sizeOf(typeOf(node).shape);

/** Readers of a part of what they read: what two of them take adds up. What others take is the same. */
const takesPart = ({ op }: Node): boolean => op === "slice" || op === "gather";

/** How many elements of input `place` are read for `made` elements of a node. */
function elementsRead(graph: Graph, node: Node, place: number, made: number): number {
  const input = graph.nodes[node.inputs[place]!]!;
  const [all, whole] = [elementsOf(input), elementsOf(node)];
  if (node.op === "gather") {
    // A third input is read by the derivative alone.
    const rowsRead = place === 2 ? 0 : Math.ceil((made * all) / whole);
    return place === 0 ? Math.min(all, made) : rowsRead;
  }
  const { opClass } = opRecord(node.op);
  if (node.op !== "concat" && (opClass === "pointwise" || opClass === "movement")) return Math.min(all, made);
  return Math.ceil((made * all) / whole);
}

/** Elements of a node that are needed: by readers of the same ones, and by those that each take a part. */
interface Need {
  readonly whole: number;
  readonly parts: number;
}

const none: Need = { whole: 0, parts: 0 };
const both = (a: Need, b: Need): Need => ({ whole: Math.max(a.whole, b.whole), parts: a.parts + b.parts });
const neededOf = (node: Node, { whole, parts }: Need): number => Math.min(elementsOf(node), whole + parts);
const bytesOf = (node: Node, elements: number): number => elements * byteWidth(typeOf(node).dtype);

/** What a unit does: that of units that are alike is one. */
export interface UnitWork {
  readonly flops: number;
  /** What it reads from memory, by rank among the nodes that it computes or reads. */
  readonly read: readonly (readonly [rank: number, need: Need])[];
}

/** Units with the nodes that they compute or read, and what they do. */
export interface CountedUnit {
  readonly unit: Unit;
  readonly nodes: readonly number[];
  readonly work: UnitWork;
}

export function countsOf(graph: Graph, units: readonly CountedUnit[]): Counts {
  const read = new Map<number, Need>();
  for (const { nodes, work } of units)
    for (const [rank, need] of work.read) read.set(nodes[rank]!, both(read.get(nodes[rank]!) ?? none, need));
  const bytes = (of: Iterable<readonly [number, Need]>): number =>
    [...of].reduce((sum, [id, need]) => sum + bytesOf(graph.nodes[id]!, neededOf(graph.nodes[id]!, need)), 0);
  const stored = units.flatMap(({ unit }) => unit.stored);
  return {
    flops: units.reduce((sum, { work }) => sum + work.flops, 0),
    reads: bytes(read),
    writes: bytes(stored.map((id) => [id, wholeOf(graph, id)])),
  };
}

const wholeOf = (graph: Graph, id: number): Need => ({ whole: elementsOf(graph.nodes[id]!), parts: 0 });

/** `nodes`: what the unit computes or reads. `isRead`: whether it reads one from memory instead of computing it. */
export function workOf(
  graph: Graph,
  { unit: { stored }, nodes }: Pick<CountedUnit, "unit" | "nodes">,
  isRead: (id: number) => boolean,
): UnitWork {
  const needed = new Map(stored.map((id) => [id, wholeOf(graph, id)]));
  const read: [rank: number, need: Need][] = [];
  let flops = 0;
  // Readers stand behind what they read, so the last of those that are open has all of its readers counted.
  const open = new Set(stored);
  while (open.size > 0) {
    const id = Math.max(...open);
    open.delete(id);
    const need = needed.get(id)!;
    const node = graph.nodes[id]!;
    if (isRead(id)) {
      read.push([nodes.indexOf(id), need]);
      continue;
    }
    const made = neededOf(node, need);
    const inputs = node.inputs.map((input) => graph.nodes[input]!.type);
    flops += (opRecord(node.op).cost(inputs, node.attributes, node.type).flops * made) / elementsOf(node);
    node.inputs.forEach((input, place) => {
      const elements = elementsRead(graph, node, place, made);
      const further = takesPart(node) ? { whole: 0, parts: elements } : { whole: elements, parts: 0 };
      open.add(input);
      needed.set(input, both(needed.get(input) ?? none, further));
    });
  }
  return { flops: Math.round(flops), read };
}
