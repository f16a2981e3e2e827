/**
 * The rule driver. Rules are data: a name and a rewrite that answers with a replacement or with nothing. The graph is rebuilt bottom-up:
 * when a rule sees a node, its inputs are already rewritten, and whatever a rule builds goes through the rules again.
 * A rule must make the graph smaller or move it towards a normal form; the driver stops with an error after `maximumDepth` nested rewrites.
 */
import { Builder, type NodeContext } from "../ir/builder.ts";
import { type Attributes, compact, compacted, type Graph, type Node, renumbered } from "../ir/graph.ts";
import { opRecord } from "../ir/registry.ts";
import { remembered } from "../ir/remember.ts";
import { during } from "../ir/trail.ts";
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

/** One application of a rule. */
export interface Rewrite {
  readonly rule: string;
  /** The node of the graph before that the rule changed, or that led to the one it changed. */
  readonly at: number;
  /** What stands in its place in the graph after, unless nobody needs it any more. */
  readonly to?: number;
  /** What the rule added to the graph after; what other rules made of its nodes is theirs. */
  readonly added: readonly number[];
}

/** A rewrite with ids of the growing graph: nodes from `first` up to `end` were made meanwhile. */
interface Application {
  readonly rule: string;
  readonly at: number;
  readonly first: number;
  readonly end: number;
  readonly replacement: number;
}

/** The rewriting builder: `add` and all sugar of `Builder` apply the rules to what they make. What is asked for again is not worked out again. */
export class Rewriter extends Builder {
  /** In the order in which they were done: what a rule's own nodes led to comes before it. */
  readonly applications: Application[] = [];
  private depth = 0;

  constructor(
    name: string,
    private readonly rules: ReadonlyMap<string, RulesOfOp>,
  ) {
    super(name);
  }

  protected override make(op: string, inputs: readonly number[], attributes: Attributes, context: NodeContext): number {
    const known = this.rules.get(op);
    if (known === undefined) return super.make(op, inputs, attributes, context);
    const rules = this.hasConstant(inputs) ? known.all : known.withoutConstants;
    if (rules.length === 0) return super.make(op, inputs, attributes, context);
    const candidate = { op, inputs, attributes };
    if (this.depth > maximumDepth) throw new Error(`the rules of ${this.name} do not terminate at ${op}`);
    this.depth++;
    try {
      for (const rule of rules) {
        const first = this.size;
        const replacement = this.applied(rule, candidate);
        if (replacement === undefined) continue;
        this.applications.push({ rule: rule.name, at: this.origin[0]!, first, end: this.size, replacement });
        return replacement;
      }
      return super.make(op, inputs, attributes, context);
    } finally {
      this.depth--;
    }
  }

  private applied(rule: Rule, candidate: Candidate): number | undefined {
    try {
      return rule.rewrite(candidate, this);
    } catch (error) {
      throw during(error, { doing: "rule", rule: rule.name, at: this.origin[0]! });
    }
  }

  private hasConstant(inputs: readonly number[]): boolean {
    for (let i = 0; i < inputs.length; i++) if (this.node(inputs[i]!).op === "constant") return true;
    return false;
  }
}

/** The rules that look at an op, and those of them that also look at candidates without a constant among their inputs: nearly all are so. */
interface RulesOfOp {
  readonly all: readonly Rule[];
  readonly withoutConstants: readonly Rule[];
}

const maximumDepth = 200;

export interface Rule {
  readonly name: string;
  /** The ops that the rule looks at. */
  readonly ops: readonly string[];
  /** Whether it applies only where an input is a constant; it is asked of no others. */
  readonly ofConstants?: boolean;
  /** What it does, one line: `pattern -> replacement`. */
  readonly doc: string;
  /** The id of the replacement, made with `rewriter`, or undefined when the rule does not apply. */
  rewrite(candidate: Candidate, rewriter: Rewriter): number | undefined;
}

export interface RewriteResult {
  readonly graph: Graph;
  readonly hits: Readonly<Record<string, number>>;
  readonly rewrites: readonly Rewrite[];
}

/** Applies the rules to every live node, bottom-up, and drops what is no longer needed. */
export function rewrite(graph: Graph, rules: readonly Rule[]): RewriteResult {
  const rewriter = new Rewriter(graph.name, rulesByOp(rules));
  const source = compact(graph, true);
  const ids = rebuild(source, rewriter);
  const outputs = source.outputs.map((o) => ({ name: o.name, node: ids[o.node]! }));
  const { graph: result, renumbered: now } = compacted(rewriter.finish(outputs), true);
  const rewrites = rewritesOf(rewriter.applications, now);
  return { graph: result, hits: hitsOf(rewrites), rewrites };
}

function rulesByOp(rules: readonly Rule[]): ReadonlyMap<string, RulesOfOp> {
  const byOp = new Map<string, Rule[]>();
  for (const rule of rules) for (const op of rule.ops) remembered(byOp, op, () => []).push(rule);
  const split = (all: readonly Rule[]): RulesOfOp => ({
    all,
    withoutConstants: all.filter(({ ofConstants }) => ofConstants !== true),
  });
  return new Map([...byOp].map(([op, all]) => [op, split(all)]));
}

function rewritesOf(applications: readonly Application[], now: readonly (number | undefined)[]): Rewrite[] {
  const taken: boolean[] = [];
  return applications.map(({ rule, at, first, end, replacement }) => {
    const added: number[] = [];
    for (let id = first; id < end; id++) {
      const stays = now[id];
      if (stays !== undefined && !taken[id]) added.push(stays);
      taken[id] = true;
    }
    const to = now[replacement];
    return { rule, at, ...(to === undefined ? {} : { to }), added };
  });
}

/** How often each rule was applied, by name. */
function hitsOf(rewrites: readonly Rewrite[]): Record<string, number> {
  const hits: Record<string, number> = {};
  for (const { rule } of rewrites) hits[rule] = (hits[rule] ?? 0) + 1;
  return Object.fromEntries(Object.entries(hits).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const alone: (readonly number[])[] = [];

/** What a node is made from that is made from one: nodes of all passes share these lists. */
export function fromOf(id: number): readonly number[] {
  alone[id] ??= [id];
  return alone[id];
}

/** What a node that is made from another one keeps of it. */
export const contextOf = ({ scope, location, phase, chunk }: Node, id: number): NodeContext => ({
  scope,
  location,
  phase,
  chunk,
  from: fromOf(id),
});

/** Re-adds every node of `graph` to `builder`; `replace` may answer for a node itself. Returns new ids by old id. */
export function rebuild(
  graph: Graph,
  builder: Builder,
  replace?: (node: Node, inputs: readonly number[], id: number) => number | undefined,
): number[] {
  const ids: number[] = [];
  for (let id = 0; id < graph.nodes.length; id++) {
    const node = graph.nodes[id]!;
    const inputs = renumbered(node.inputs, ids);
    const make = (): number => replace?.(node, inputs, id) ?? builder.add(node.op, inputs, node.attributes);
    ids.push(builder.within(contextOf(node, id), make));
  }
  return ids;
}
