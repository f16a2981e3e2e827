/**
 * The graph: plain JSON, nodes in a dense array in topological order, inputs by index. One result per node.
 * No class instances and no typed arrays inside; the data behind ports lives in side tables keyed by port name.
 */
import type { Type } from "./types.ts";

/** Attribute values are JSON. Objects are allowed but the textual form prints them as JSON. */
export type Attribute = string | number | boolean | null | readonly Attribute[] | { readonly [key: string]: Attribute };
export type Attributes = { readonly [name: string]: Attribute };

/** Where a node was written: method or model file and line. */
export interface SourceLocation {
  readonly file: string;
  readonly line: number;
}

export interface Node {
  readonly op: string;
  readonly inputs: readonly number[];
  readonly attributes: Attributes;
  readonly type: Type;
  /** Module path the node belongs to, e.g. `model.layers.0.self_attn.q_proj`. */
  readonly scope?: string | undefined;
  readonly location?: SourceLocation | undefined;
  /** Set where the node is part of a gradient. */
  readonly phase?: "backward" | undefined;
  /** The part of a cut value that the node computes (see `passes/partition.ts`): kernels do not join nodes of different chunks. */
  readonly chunk?: string | undefined;
  /** Ids, in the graph that the last pass read, of the nodes that this one was made from. */
  readonly from?: readonly number[] | undefined;
}

/** The chunk of what puts chunks together. */
export const wholeChunk = "whole";

const recomputed = "again.";

/** The chunk of what a part of the forward pass is made again by for the backward pass (see `passes/recompute.ts`). */
export const recomputedChunk = (part: number): string => `${recomputed}${part}`;

/** Whether a chunk is one of these, or lies in one. */
export const isRecomputed = (chunk: string | undefined): boolean => chunk?.startsWith(recomputed) ?? false;

export interface Output {
  readonly name: string;
  readonly node: number;
}

export interface Graph {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly outputs: readonly Output[];
}

/**
 * Roles of ports (op `port`):
 * - `input`   given at every run (token ids, labels, masks, scalars such as the step number)
 * - `weight`  frozen tensor of the base model; may be bf16 or f16, and is then expanded where it is read
 * - `param`   trained tensor (adapter tensors, `modules_to_save` copies, trained biases); f32
 * - `buffer`  frozen adapter tensor or index table that comes with the program (`vera_A`, positions)
 */
export type PortRole = "input" | "weight" | "param" | "buffer";

export function portName(node: Node): string {
  return node.attributes.name as string;
}

export function portRole(node: Node): PortRole {
  return node.attributes.role as PortRole;
}

/** A node in a message: a port by its name, others by id and op. */
export function nodeName({ nodes }: Graph, id: number): string {
  const node = nodes[id]!;
  return node.op === "port" ? portName(node) : `%${id} = ${node.op}`;
}

/** The same, with the module that it is part of; names of ports tell theirs. */
export function placedName(graph: Graph, id: number): string {
  const { op, scope } = graph.nodes[id]!;
  return `${nodeName(graph, id)}${op === "port" || scope === undefined ? "" : ` in ${scope}`}`;
}

/** A port whose tensor never changes: a weight of the base, or a buffer. */
export const isFrozenPort = (node: Node): boolean =>
  node.op === "port" && (portRole(node) === "weight" || portRole(node) === "buffer");

export function ports(graph: Graph, role?: PortRole): { id: number; name: string; node: Node }[] {
  const found: { id: number; name: string; node: Node }[] = [];
  graph.nodes.forEach((node, id) => {
    if (node.op === "port" && (role === undefined || portRole(node) === role))
      found.push({ id, name: portName(node), node });
  });
  return found;
}

/** For every node the ids of the nodes that read it (once per reading input); outputs are not counted. */
export function usersOf(graph: Graph): number[][] {
  const users: number[][] = graph.nodes.map(() => []);
  graph.nodes.forEach((node, id) => {
    for (const input of node.inputs) users[input]!.push(id);
  });
  return users;
}

/** Ids of the nodes that some output needs, as a dense array of booleans. */
export function liveNodes(graph: Graph): boolean[] {
  const live = new Array<boolean>(graph.nodes.length).fill(false);
  for (const output of graph.outputs) live[output.node] = true;
  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    if (!live[id]) continue;
    const { inputs } = graph.nodes[id]!;
    for (let i = 0; i < inputs.length; i++) live[inputs[i]!] = true;
  }
  return live;
}

/** Graphs without nodes that no output needs, and those that may have such ports: passes hand them on. */
const compacts = { all: new WeakSet<Graph>(), butPorts: new WeakSet<Graph>() };

/** Drops what no output needs and renumbers; ports stay when `keepPorts`. */
export function compact(graph: Graph, keepPorts = false): Graph {
  if (compacts.all.has(graph) || (keepPorts && compacts.butPorts.has(graph))) return graph;
  return compacted(graph, keepPorts).graph;
}

/** The same, with the new ids by old id: those of nodes that are dropped are missing. */
export function compacted(
  graph: Graph,
  keepPorts = false,
): { readonly graph: Graph; readonly renumbered: readonly (number | undefined)[] } {
  const live = liveNodes(graph);
  const ids: (number | undefined)[] = [];
  const nodes: Node[] = [];
  for (let id = 0; id < graph.nodes.length; id++) {
    const node = graph.nodes[id]!;
    const stays = live[id] || (keepPorts && node.op === "port");
    ids.push(stays ? nodes.length : undefined);
    if (!stays) continue;
    // Behind the first one that is dropped nodes have other numbers.
    nodes.push(id === nodes.length ? node : { ...node, inputs: renumbered(node.inputs, ids) });
  }
  const outputs = graph.outputs.map((o) => ({ name: o.name, node: ids[o.node]! }));
  const made = nodes.length === graph.nodes.length ? graph : { name: graph.name, nodes, outputs };
  (keepPorts ? compacts.butPorts : compacts.all).add(made);
  return { graph: made, renumbered: ids };
}

/** Ids by others: the same list where it stays as it is. */
export function renumbered(inputs: readonly number[], ids: readonly (number | undefined)[]): readonly number[] {
  let found: number[] | undefined;
  for (let i = 0; i < inputs.length; i++) {
    const id = ids[inputs[i]!]!;
    if (id !== inputs[i]) found ??= inputs.slice(0, i);
    found?.push(id);
  }
  return found ?? inputs;
}

/** The node that casts make others of. */
export function behindCasts(graph: Graph, id: number): number {
  const { op, inputs } = graph.nodes[id]!;
  return op === "cast" ? behindCasts(graph, inputs[0]!) : id;
}
