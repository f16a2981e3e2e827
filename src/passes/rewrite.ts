/**
 * The rule driver. Rules are data: a name and a rewrite that answers with a replacement or with nothing. The graph is rebuilt bottom-up:
 * when a rule sees a node, its inputs are already rewritten, and whatever a rule builds goes through the rules again.
 * A rule must make the graph smaller or move it towards a normal form; the driver stops with an error after `maximumDepth` nested rewrites.
 */
import { Builder, type NodeContext } from "../ir/builder.ts";
import { type Attributes, compact, type Graph, type Node } from "../ir/graph.ts";
import { opRecord } from "../ir/registry.ts";
import type { TensorType } from "../ir/types.ts";

/** What a rule sees: the node about to be made, its inputs already in the builder. */
export interface Candidate {
  readonly op: string;
  readonly inputs: readonly number[];
  readonly attributes: Attributes;
}

/** A list attribute. */
export const list = (value: unknown): readonly number[] => value as readonly number[];

/** The type that the candidate would have. */
export const typeOf = (c: Candidate, r: Rewriter): TensorType =>
  opRecord(c.op).infer(
    c.inputs.map((i) => r.type(i)),
    c.attributes,
  ) as TensorType;

/** The rewriting builder: `add` and all sugar of `Builder` apply the rules to what they make. What is asked for again is not worked out again. */
export class Rewriter extends Builder {
  readonly hits = new Map<string, number>();
  private depth = 0;

  constructor(
    name: string,
    private readonly rules: ReadonlyMap<string, readonly Rule[]>,
  ) {
    super(name);
  }

  protected override make(op: string, inputs: readonly number[], attributes: Attributes, context: NodeContext): number {
    const rules = this.rules.get(op) ?? [];
    if (this.depth > maximumDepth) throw new Error(`the rules of ${this.name} do not terminate at ${op}`);
    this.depth++;
    try {
      for (const rule of rules) {
        const replacement = rule.rewrite({ op, inputs, attributes }, this);
        if (replacement === undefined) continue;
        this.hits.set(rule.name, (this.hits.get(rule.name) ?? 0) + 1);
        return replacement;
      }
      return super.make(op, inputs, attributes, context);
    } finally {
      this.depth--;
    }
  }
}

const maximumDepth = 200;

export interface Rule {
  readonly name: string;
  /** The ops that the rule looks at. */
  readonly ops: readonly string[];
  /** What it does, one line: `pattern -> replacement`. */
  readonly doc: string;
  /** The id of the replacement, made with `rewriter`, or undefined when the rule does not apply. */
  rewrite(candidate: Candidate, rewriter: Rewriter): number | undefined;
}

export interface RewriteResult {
  readonly graph: Graph;
  readonly hits: Readonly<Record<string, number>>;
}

/** Applies the rules to every live node, bottom-up, and drops what is no longer needed. */
export function rewrite(graph: Graph, rules: readonly Rule[]): RewriteResult {
  const byOp = new Map<string, Rule[]>();
  for (const rule of rules) for (const op of rule.ops) byOp.set(op, [...(byOp.get(op) ?? []), rule]);
  const rewriter = new Rewriter(graph.name, byOp);
  const source = compact(graph, true);
  const ids = rebuild(source, rewriter);
  const result = compact(rewriter.finish(source.outputs.map((o) => ({ name: o.name, node: ids[o.node]! }))), true);
  return { graph: result, hits: Object.fromEntries([...rewriter.hits].sort(([a], [b]) => (a < b ? -1 : 1))) };
}

/** What a node that is made from another one keeps of it. */
export const contextOf = ({ scope, location, phase, chunk }: Node, id: number): NodeContext => ({
  scope,
  location,
  phase,
  chunk,
  from: [id],
});

/** Re-adds every node of `graph` to `builder`; `replace` may answer for a node itself. Returns new ids by old id. */
export function rebuild(
  graph: Graph,
  builder: Builder,
  replace?: (node: Node, inputs: readonly number[], id: number) => number | undefined,
): number[] {
  const ids: number[] = [];
  graph.nodes.forEach((node, id) => {
    const inputs = node.inputs.map((i) => ids[i]!);
    const make = (): number => replace?.(node, inputs, id) ?? builder.add(node.op, inputs, node.attributes);
    ids.push(builder.within(contextOf(node, id), make));
  });
  return ids;
}
