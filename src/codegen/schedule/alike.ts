/**
 * Units that are alike: what lowering reads of a unit, as text, with its nodes numbered by rank. Units of one text differ in the numbers of
 * their nodes only, as those of a model's layers do, and whatever is made of one of them fits the other when the nodes are renamed.
 */
import type { Graph } from "../../ir/graph.ts";
import type { Unit } from "../fuse/fuse.ts";

export interface Likeness {
  readonly text: string;
  /** The nodes that the unit computes or reads, increasing: the rank of a node is its place here. */
  readonly nodes: readonly number[];
}

/** `read` gives what matters of a value that the unit reads from memory, `made` of one that it computes; both beside its type. */
export interface Facts {
  readonly isInMemory: (node: number) => boolean;
  readonly read: (node: number) => unknown;
  readonly made: (node: number) => unknown;
}

export function likenessOf(graph: Graph, unit: Unit, facts: Facts): Likeness {
  const found = new Set<number>();
  const visit = (id: number): void => {
    if (found.has(id)) return;
    found.add(id);
    if (!facts.isInMemory(id)) graph.nodes[id]!.inputs.forEach(visit);
  };
  unit.members.forEach(visit);
  const nodes = [...found].sort((a, b) => a - b);
  const ranks = new Map(nodes.map((id, rank) => [id, rank]));
  const ranksOf = (ids: readonly number[]): number[] => ids.map((id) => ranks.get(id)!);
  const parts = nodes.map((id) => {
    const { op, type, inputs, attributes } = graph.nodes[id]!;
    return facts.isInMemory(id)
      ? ["read", type, facts.read(id)]
      : [op, type, attributes, ranksOf(inputs), facts.made(id)];
  });
  const { form, shape, axes, members, stored } = unit;
  return { text: JSON.stringify([form, shape, axes, ranksOf(members), ranksOf(stored), parts], exact), nodes };
}

/** JSON has no words for some numbers. */
function exact(_key: string, value: unknown): unknown {
  if (typeof value !== "number" || (Number.isFinite(value) && !Object.is(value, -0))) return value;
  return Object.is(value, -0) ? "-0" : String(value);
}
