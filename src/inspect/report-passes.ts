/** What passes did, with the neighbourhoods of some of their rewrites: the graphs after every pass would be too much for a page. */
import type { Graph, Node } from "../ir/graph.ts";
import { portName, usersOf } from "../ir/graph.ts";
import { typeText } from "../ir/types.ts";
import { algebraRules } from "../passes/algebra.ts";
import type { TimelineEntry } from "../passes/manager.ts";
import type { Rewrite } from "../passes/rewrite.ts";
import { simplifyRules } from "../passes/simplify.ts";
import type { PassRecord, RewriteRecord, SnippetNode } from "./report-types.ts";
import type { InspectedProgram } from "./views.ts";

const mostOfRule = 5;
/** Nodes of a neighbourhood. */
const mostNear = 24;

export const ruleDocs = (): Record<string, string> =>
  Object.fromEntries([...algebraRules, ...simplifyRules].map(({ name, doc }) => [name, doc]));

interface Side {
  readonly graph: Graph;
  readonly users: readonly (readonly number[])[];
}

function nameOf(node: Node): string {
  if (node.op === "port") return `${String(node.attributes.role)} ${portName(node).split(".").slice(-3).join(".")}`;
  const { dtype: _dtype, shape: _shape, ...own } = node.attributes;
  const values = Object.values(own).map((value) => (typeof value === "string" ? value : JSON.stringify(value)));
  return [node.op, ...values].join(" ").slice(0, 60);
}

/** What is two steps before some nodes, and one behind them, in the order of the graph. */
function near({ graph, users }: Side, roots: readonly number[]): number[] {
  const inputs = (ids: readonly number[]): number[] => ids.flatMap((id) => graph.nodes[id]!.inputs);
  const first = inputs(roots);
  const all = [...roots, ...first, ...roots.flatMap((id) => users[id]!.slice(0, 3)), ...inputs(first)];
  return [...new Set(all)].slice(0, mostNear).sort((a, b) => a - b);
}

const snippet = (side: Side, roots: readonly number[], markOf: (id: number) => 0 | 1 | 2): SnippetNode[] =>
  near(side, roots).map((id) => {
    const node = side.graph.nodes[id]!;
    return [id, nameOf(node), typeText(node.type), node.inputs, markOf(id)];
  });

function rewriteRecord(
  { rule, at, to, added }: Rewrite,
  before: Side,
  after: Side,
  kept: ReadonlySet<number>,
): RewriteRecord {
  const isNew = new Set(added);
  return {
    rule,
    scope: before.graph.nodes[at]?.scope ?? "",
    before: snippet(before, [at], (id) => (id === at ? 2 : kept.has(id) ? 0 : 1)),
    after: snippet(after, to === undefined ? added.slice(0, 4) : [to, ...added.slice(0, 4)], (id) =>
      id === to ? 2 : isNew.has(id) ? 1 : 0,
    ),
  };
}

function rewritesOf({ rewrites }: TimelineEntry, before: Graph | undefined, after: Graph | undefined): RewriteRecord[] {
  if (before === undefined || after === undefined || rewrites.length === 0) return [];
  const [first, second] = [before, after].map((graph): Side => ({ graph, users: usersOf(graph) })) as [Side, Side];
  const kept = new Set(after.nodes.flatMap(({ op, from = [] }) => from.filter((id) => before.nodes[id]?.op === op)));
  const counts = new Map<string, number>();
  return rewrites.flatMap((own) => {
    const seen = counts.get(own.rule) ?? 0;
    counts.set(own.rule, seen + 1);
    return seen < mostOfRule ? [rewriteRecord(own, first, second, kept)] : [];
  });
}

export function passRecords(program: InspectedProgram): PassRecord[] {
  const latest = new Map<string, Graph>();
  return program.timeline.map((entry) => {
    const { stage, pass, milliseconds, hits, nodesBefore, nodesAfter } = entry;
    const after = program.graphAfter(pass, stage as Parameters<typeof program.graphAfter>[1]);
    const rewrites = rewritesOf(entry, latest.get(stage), after);
    if (after !== undefined) latest.set(stage, after);
    return { stage, pass, milliseconds, hits, before: nodesBefore, after: nodesAfter, rewrites };
  });
}
