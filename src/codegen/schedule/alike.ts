/**
 * Units that are alike: what lowering reads of a unit, as text, with its nodes numbered by rank. Units of one text differ in the numbers of
 * their nodes only, as those of a model's layers do, and whatever is made of one of them fits the other when the nodes are renamed.
 */
import type { Attributes, Graph } from "../../ir/graph.ts";
import { remembered } from "../../ir/remember.ts";
import { type Type, typeText } from "../../ir/types.ts";
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
  const nodes = readOrComputed(graph, unit, facts);
  const ranks = new Map<number, number>();
  for (let rank = 0; rank < nodes.length; rank++) ranks.set(nodes[rank]!, rank);
  const ranksOf = (ids: readonly number[]): string => {
    let text = "";
    for (let i = 0; i < ids.length; i++) text += `${ranks.get(ids[i]!)},`;
    return text;
  };
  const { form, shape, axes, members, stored } = unit;
  const sums = form === "contraction" ? sumsOf(graph, members, facts, ranksOf) : "";
  let text = `${form} ${shape.join()} ${axes.join()} ${ranksOf(members)} ${ranksOf(stored)} ${sums}`;
  for (let rank = 0; rank < nodes.length; rank++) {
    const id = nodes[rank]!;
    const { op, type, inputs, attributes } = graph.nodes[id]!;
    text += facts.isInMemory(id)
      ? `\nread ${textOfType(type)} ${facts.read(id)}`
      : `\n${op} ${textOfType(type)} ${attributesText(attributes)} ${ranksOf(inputs)} ${facts.isResult(id) ? "result" : ""}`;
  }
  return { text, nodes };
}

/** The nodes that a unit computes or reads, increasing. */
function readOrComputed(graph: Graph, { members }: Unit, { isInMemory }: Facts): readonly number[] {
  const found = new Set<number>();
  const open = [...members];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    if (!isInMemory(id)) open.push(...graph.nodes[id]!.inputs);
  }
  return [...found].sort((a, b) => a - b);
}

/** Which einsums are added up where; others may read the values of a unit that is like this one. */
function sumsOf(
  graph: Graph,
  members: readonly number[],
  { liveness }: Facts,
  ranks: (ids: readonly number[]) => string,
): string {
  const einsums = members.filter((id) => graph.nodes[id]!.op === "einsum");
  const sums = accumulatorsOf(graph, liveness, einsums).map((a) => ranks([a.root, ...a.einsums]));
  return sums.join("+");
}

const typeTexts = new WeakMap<Type, string>();

const textOfType = (type: Type): string => remembered(typeTexts, type, () => typeText(type));

const texts = new WeakMap<Attributes, string>();

const attributesText = (attributes: Attributes): string =>
  remembered(texts, attributes, () => JSON.stringify(attributes, exact));

/** JSON has no words for some numbers. */
function exact(_key: string, value: unknown): unknown {
  if (typeof value !== "number" || (Number.isFinite(value) && !Object.is(value, -0))) return value;
  return Object.is(value, -0) ? "-0" : String(value);
}
