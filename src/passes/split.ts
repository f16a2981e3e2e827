/** Splits a graph in two: what can be known earlier, in a stage of its own, and the rest, which reads the values of that stage from storage. */
import { compact, type Graph, type Node, type Output } from "../ir/graph.ts";
import { opRecord } from "../ir/registry.ts";
import type { TensorType } from "../ir/types.ts";
import { fromOf } from "./rewrite.ts";

/** Flops for every number of a value from which it is worth keeping instead of recomputing where it is read. */
export const worthKeeping = 4;

/** Views, casts and leaves stay with their readers: keeping them would only copy. */
const isTransparent = (node: Node): boolean =>
  node.op === "cast" || node.op === "stop_gradient" || ["leaf", "movement"].includes(opRecord(node.op).opClass);

/** Whether every value of a graph is known when the earlier stage runs, by its leaves. */
export function knownNodes(graph: Graph, isKnown: (leaf: Node) => boolean): readonly boolean[] {
  const known: boolean[] = [];
  graph.nodes.forEach((node) => {
    known.push(node.inputs.length === 0 ? isKnown(node) : node.inputs.every((i) => known[i]!));
  });
  return known;
}

interface FrontierRule {
  readonly known: readonly boolean[];
  /** Whether a known value is worth keeping instead of computing where it is read. */
  readonly isWorth: (id: number) => boolean;
  /** Values that are kept in any case. */
  readonly given?: ReadonlySet<number>;
}

export interface Frontier {
  /** In the order of the graph. */
  readonly values: readonly number[];
  /** Whether the rest reads a leaf. */
  readonly isRead: (leaf: number) => boolean;
}

/** The values that `outputs` need of an earlier stage: known, worth it, and read by something that is not. */
export function frontier(graph: Graph, outputs: readonly Output[], { known, isWorth, given }: FrontierRule): Frontier {
  const needed = graph.nodes.map(() => false);
  for (const output of outputs) needed[output.node] = true;
  const found: number[] = [];
  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    const node = graph.nodes[id]!;
    if (!needed[id]) continue;
    const isF32 = node.type.kind === "tensor" && node.type.dtype === "f32";
    if (given?.has(id) || (known[id] && isF32 && !isTransparent(node) && isWorth(id))) found.push(id);
    else for (const input of node.inputs) needed[input] = true;
  }
  return { values: found.reverse(), isRead: (leaf) => needed[leaf]! };
}

export interface Split {
  readonly earlier: Graph;
  readonly rest: Graph;
}

/**
 * `values` are the outputs of the earlier stage; the rest has `outputs`, and reads values from ports of their names and the role. Of a value
 * with several names it reads the first.
 */
export function splitAt(
  graph: Graph,
  values: readonly Output[],
  outputs: readonly Output[],
  role: "buffer" | "param",
): Split {
  const names = new Map([...values].reverse().map(({ name, node }) => [node, name]));
  const nodes = graph.nodes.map((node, id): Node => {
    const [name, from] = [names.get(id), fromOf(id)];
    if (name === undefined) return { ...node, from };
    const attributes = { name, role, dtype: "f32", shape: (node.type as TensorType).shape };
    return { ...node, op: "port", inputs: [], attributes, from };
  });
  return { earlier: compact({ ...graph, outputs: values }), rest: compact({ name: graph.name, nodes, outputs }) };
}

/** Values with numbers behind a prefix for names. */
export const numbered = (prefix: string, ids: readonly number[]): Output[] =>
  ids.map((node, i) => ({ name: `${prefix}${i}`, node }));
