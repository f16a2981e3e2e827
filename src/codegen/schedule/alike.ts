/**
 * Units that are alike: what lowering reads of a unit, as text, with its nodes numbered by rank. Units of one text differ in the numbers of
 * their nodes only, as those of a model's layers do, and whatever is made of one of them fits the other when the nodes are renamed.
 */
import type { Attributes, Graph } from "../../ir/graph.ts";
import { remembered } from "../../ir/remember.ts";
import { typeText } from "../../ir/types.ts";
import { accumulatorsOf } from "../fuse/contraction-form.ts";
import type { Unit } from "../fuse/fuse.ts";
import type { Liveness } from "../fuse/kept.ts";

export interface Likeness {
  readonly text: string;
  /** The nodes that the unit computes or reads, increasing: the rank of a node is its place here. */
  readonly nodes: readonly number[];
}

/** What lowering knows of nodes beside the graph. */
export interface Facts {
  readonly liveness: Liveness;
  readonly isInMemory: (node: number) => boolean;
  /** What matters of a value that the unit reads from memory. */
  readonly read: (node: number) => string;
  /** Of one that it computes: whether the host reads it. */
  readonly isResult: (node: number) => boolean;
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
  const ranksOf = (ids: readonly number[]): string => ids.map((id) => ranks.get(id)).join();
  const parts = nodes.map((id) => {
    const { op, type, inputs, attributes } = graph.nodes[id]!;
    if (facts.isInMemory(id)) return `read ${typeText(type)} ${facts.read(id)}`;
    const result = facts.isResult(id) ? "result" : "";
    return `${op} ${typeText(type)} ${attributesText(attributes)} ${ranksOf(inputs)} ${result}`;
  });
  const { form, shape, axes, members, stored } = unit;
  const frame = [form, shape, axes.join(), ranksOf(members), ranksOf(stored), sumsOf(graph, unit, facts, ranksOf)];
  return { text: [frame.join(" "), ...parts].join("\n"), nodes };
}

/** Which einsums are added up where; others may read the values of a unit that is like this one. */
function sumsOf(
  graph: Graph,
  { form, members }: Unit,
  { liveness }: Facts,
  ranks: (ids: readonly number[]) => string,
): string {
  if (form !== "contraction") return "";
  const einsums = members.filter((id) => graph.nodes[id]!.op === "einsum");
  const sums = accumulatorsOf(graph, liveness, einsums).map((a) => ranks([a.root, ...a.einsums]));
  return sums.join("+");
}

const texts = new WeakMap<Attributes, string>();

const attributesText = (attributes: Attributes): string =>
  remembered(texts, attributes, () => JSON.stringify(attributes, exact));

/** JSON has no words for some numbers. */
function exact(_key: string, value: unknown): unknown {
  if (typeof value !== "number" || (Number.isFinite(value) && !Object.is(value, -0))) return value;
  return Object.is(value, -0) ? "-0" : String(value);
}
