/** What passes did, with the neighbourhoods of all their rewrites: those that look alike in all layers are one, with their places. */
import type { Graph, Node } from "../ir/graph.ts";
import { portName, usersOf } from "../ir/graph.ts";
import { remembered } from "../ir/remember.ts";
import { typeText } from "../ir/types.ts";
import { algebraRules } from "../passes/algebra.ts";
import type { TimelineEntry } from "../passes/manager.ts";
import type { Rewrite } from "../passes/rewrite.ts";
import { simplifyRules } from "../passes/simplify.ts";
import { rulePlaces } from "./page-text.ts";
import type { PassRecord, RewriteRecord, RuleRecord, SnippetNode } from "./report-types.ts";
import type { ViewedProgram } from "./views.ts";

/** Nodes of a neighbourhood, what stands on the other side too left aside. */
const mostNear = 16;

export const ruleRecords = (): Record<string, RuleRecord> =>
  Object.fromEntries(
    [...algebraRules, ...simplifyRules].map(({ name, doc }) => [name, { doc, place: rulePlaces[name] ?? "" }]),
  );

interface Side {
  readonly graph: Graph;
  readonly users: readonly (readonly number[])[];
}

/** Graphs before and after a pass, and which nodes of them are the same. */
interface Pair {
  readonly before: Side;
  readonly after: Side;
  readonly wasOf: readonly number[];
  readonly isOf: ReadonlyMap<number, number>;
}

/** Puts a text among those of the report. */
type Place = (text: string) => number;

function nameOf(node: Node): string {
  if (node.op === "port") {
    const parts = portName(node).split(".").slice(-3);
    return `${String(node.attributes.role)} ${parts.filter((own) => !/^\d+$/.test(own)).join(".")}`;
  }
  const { dtype: _dtype, shape: _shape, ...own } = node.attributes;
  const values = Object.values(own).map((value) => (typeof value === "string" ? value : JSON.stringify(value)));
  return [node.op, ...values].join(" ").slice(0, 60);
}

function pairOf(before: Graph, after: Graph): Pair {
  const wasOf = after.nodes.map(({ op, from = [] }) => from.find((id) => before.nodes[id]?.op === op) ?? -1);
  const isOf = new Map(wasOf.flatMap((was, id) => (was < 0 ? [] : [[was, id] as const])));
  const side = (graph: Graph): Side => ({ graph, users: usersOf(graph) });
  return { before: side(before), after: side(after), wasOf, isOf };
}

/** What is two steps before some nodes, and one behind them. */
function near({ graph, users }: Side, roots: readonly number[]): number[] {
  const inputs = (ids: readonly number[]): number[] => ids.flatMap((id) => graph.nodes[id]!.inputs);
  const first = inputs(roots);
  const all = [...roots, ...first, ...roots.flatMap((id) => users[id]!.slice(0, 3)), ...inputs(first)];
  return [...new Set(all)].slice(0, mostNear);
}

const increasing = (ids: readonly number[]): number[] => [...new Set(ids)].sort((a, b) => a - b);

interface Found extends Omit<RewriteRecord, "places"> {
  readonly place: RewriteRecord["places"][number];
}

function found({ rule, at, to, added }: Rewrite, pair: Pair, place: Place): Found {
  const { before, after, wasOf, isOf } = pair;
  const ends = added.slice(0, 4);
  const [nearBefore, nearAfter] = [near(before, [at]), near(after, to === undefined ? ends : [to, ...ends])];
  const idsBefore = increasing([...nearBefore, ...nearAfter.map((id) => wasOf[id]!).filter((id) => id >= 0)]);
  const idsAfter = increasing([...nearAfter, ...nearBefore.flatMap((id) => isOf.get(id) ?? [])]);
  const places = new Map(idsBefore.map((id, i) => [id, i]));
  const snippet = (
    { graph }: Side,
    ids: readonly number[],
    mark: (id: number) => 0 | 1 | 2,
    was: (id: number) => number,
  ): SnippetNode[] => {
    const own = new Map(ids.map((id, i) => [id, i]));
    return ids.map((id) => {
      const node = graph.nodes[id]!;
      const inputs = node.inputs.map((input) => own.get(input) ?? -1);
      return [place(nameOf(node)), place(typeText(node.type)), inputs, mark(id), was(id)];
    });
  };
  const isNew = new Set(added);
  return {
    rule,
    before: snippet(
      before,
      idsBefore,
      (id) => (id === at ? 2 : isOf.has(id) ? 0 : 1),
      () => -1,
    ),
    after: snippet(
      after,
      idsAfter,
      (id) => (id === to ? 2 : isNew.has(id) ? 1 : 0),
      (id) => places.get(wasOf[id]!) ?? -1,
    ),
    place: [place(before.graph.nodes[at]?.scope ?? ""), idsBefore, idsAfter],
  };
}

function rewritesOf(
  { rewrites }: TimelineEntry,
  before: Graph | undefined,
  after: Graph | undefined,
  place: Place,
): RewriteRecord[] {
  if (before === undefined || after === undefined || rewrites.length === 0) return [];
  const pair = pairOf(before, after);
  const alike = new Map<string, Found & { readonly places: Found["place"][] }>();
  for (const rewrite of rewrites) {
    const own = found(rewrite, pair, place);
    const key = JSON.stringify([own.rule, own.before, own.after]);
    remembered(alike, key, () => ({ ...own, places: [] })).places.push(own.place);
  }
  return [...alike.values()].map(({ place: _place, ...record }) => record);
}

export function passRecords(program: Pick<ViewedProgram, "timeline" | "graphAfter">, place: Place): PassRecord[] {
  const latest = new Map<string, Graph>();
  return program.timeline.map((entry) => {
    const { stage, pass, milliseconds, hits, nodesBefore, nodesAfter } = entry;
    const after = program.graphAfter(pass, stage as Parameters<typeof program.graphAfter>[1]);
    const rewrites = rewritesOf(entry, latest.get(stage), after, place);
    if (after !== undefined) latest.set(stage, after);
    return { stage, pass, milliseconds, hits, before: nodesBefore, after: nodesAfter, rewrites };
  });
}
