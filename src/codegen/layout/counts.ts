/**
 * What a unit computes and moves: flops of the elements that it makes, and bytes of those that it reads from memory and writes there, each once.
 * Work before a lookup or a slice counts for the elements that are taken, not for the whole table.
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

/** `isRead`: whether the unit reads a node from memory instead of computing it. */
export function countsOf(graph: Graph, { stored }: Unit, isRead: (id: number) => boolean): Counts {
  const needed = new Map<number, { whole: number; parts: number }>();
  for (const id of stored) needed.set(id, { whole: elementsOf(graph.nodes[id]!), parts: 0 });
  let flops = 0;
  let reads = 0;
  const writes = stored.reduce((sum, id) => sum + bytesOf(graph.nodes[id]!, elementsOf(graph.nodes[id]!)), 0);
  // Readers stand behind what they read, so the last of those that are open has all of its readers counted.
  const open = new Set(stored);
  while (open.size > 0) {
    const id = Math.max(...open);
    open.delete(id);
    const need = needed.get(id)!;
    const node = graph.nodes[id]!;
    const made = Math.min(elementsOf(node), need.whole + need.parts);
    if (isRead(id)) {
      reads += bytesOf(node, made);
      continue;
    }
    const inputs = node.inputs.map((input) => graph.nodes[input]!.type);
    flops += (opRecord(node.op).cost(inputs, node.attributes, node.type).flops * made) / elementsOf(node);
    node.inputs.forEach((input, place) => {
      const read = elementsRead(graph, node, place, made);
      const { whole, parts } = needed.get(input) ?? { whole: 0, parts: 0 };
      open.add(input);
      needed.set(input, takesPart(node) ? { whole, parts: parts + read } : { whole: Math.max(whole, read), parts });
    });
  }
  return { flops: Math.round(flops), reads, writes };
}

const bytesOf = (node: Node, elements: number): number => elements * byteWidth(typeOf(node).dtype);
