/**
 * The pass manager: runs passes in order over the state of a compilation and keeps a timeline. A pass is a pure function from graph to
 * graph. What it changed is a commit through immer, with patches both ways, that is made when somebody asks for it: the timeline that the
 * inspector plays. Nodes that a pass left alone keep their identity there and cost no patch.
 */
import { enablePatches, Immer, type Patch } from "immer";
import type { Graph, Node } from "../ir/graph.ts";
import { once } from "../ir/remember.ts";
import { type Doing, during } from "../ir/trail.ts";
import type { CostNote } from "./lower-operators.ts";
import type { Rewrite } from "./rewrite.ts";

/** State of a compilation: the graph of every stage. */
export interface PipelineState {
  readonly graphs: Readonly<Record<string, Graph>>;
}

export interface TimelineEntry {
  readonly pass: string;
  readonly stage: string;
  readonly milliseconds: number;
  readonly nodesBefore: number;
  readonly nodesAfter: number;
  /** How often each named rule rewrote something. */
  readonly hits: Readonly<Record<string, number>>;
  /** Every one of them, with ids of the graphs before and after. */
  readonly rewrites: readonly Rewrite[];
  readonly patches: readonly Patch[];
  readonly inversePatches: readonly Patch[];
  readonly notes: readonly CostNote[];
}

export interface PassResult {
  readonly graph: Graph;
  readonly hits?: Readonly<Record<string, number>>;
  readonly rewrites?: readonly Rewrite[];
  readonly notes?: readonly CostNote[];
}

export type Pass = (graph: Graph) => PassResult;

export interface ManagerOptions {
  /** Checks a graph after every pass; throws when an invariant is broken. */
  readonly verify: (graph: Graph, pass: string) => void;
  readonly now: () => number;
  /** Told of every pass when it has run. */
  readonly onPass?: PassListener | undefined;
}

export type PassListener = (entry: TimelineEntry, graph: Graph) => void;

type Draft<T> = { -readonly [K in keyof T]: T[K] };

/** Equal up to `from`, which names nodes of the graph before and so differs without anything having changed. */
function sameNode(a: Node | undefined, b: Node): boolean {
  return a !== undefined && JSON.stringify({ ...a, from: null }) === JSON.stringify({ ...b, from: null });
}

/** A state with the patches that lead to it and back. */
type Commit = readonly [state: PipelineState, patches: readonly Patch[], inversePatches: readonly Patch[]];

/** Puts a graph in the place of its stage's. */
function commit(before: PipelineState, stage: string, after: Graph): Commit {
  enablePatches();
  const own = before.graphs[stage]?.nodes ?? [];
  return new Immer({ autoFreeze: false }).produceWithPatches(before, (draft) => {
    const graphs = draft.graphs as Record<string, Draft<Graph>>;
    graphs[stage] ??= { name: after.name, nodes: [], outputs: [] };
    const nodes = graphs[stage].nodes as Node[];
    after.nodes.forEach((node, id) => {
      if (!sameNode(own[id], node)) nodes[id] = node;
    });
    nodes.length = after.nodes.length;
    graphs[stage].name = after.name;
    graphs[stage].outputs = after.outputs;
  });
}

/** The entry with patches that are made when they are read. JSON leaves them out: they are copies of most of the graph. */
function withPatches(facts: Omit<TimelineEntry, "patches" | "inversePatches">, committed: () => Commit): TimelineEntry {
  const patches = { get: () => committed()[1] };
  const inversePatches = { get: () => committed()[2] };
  return Object.defineProperties(facts, { patches, inversePatches }) as TimelineEntry;
}

function attempted<T>(pass: Omit<Extract<Doing, { doing: "pass" }>, "doing">, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw during(error, { doing: "pass", ...pass });
  }
}

export class PassManager {
  readonly timeline: TimelineEntry[] = [];
  private snapshots: ReadonlyMap<string, Graph> = new Map();
  private graphs: ReadonlyMap<string, Graph> = new Map();
  private state: () => PipelineState = () => ({ graphs: {} });

  constructor(private readonly options: ManagerOptions) {}

  /** The graph of a stage as a pass left it. */
  after(pass: string, stage: string): Graph | undefined {
    return this.snapshots.get(`${stage}/${pass}`);
  }

  /** The timeline, and the graphs of all stages as they are now. */
  get soFar(): { readonly timeline: readonly TimelineEntry[]; readonly graphs: ReadonlyMap<string, Graph> } {
    const { timeline, graphs } = this;
    return { timeline, graphs };
  }

  /** What takes back the passes that were run since: for what is tried. */
  mark(): () => void {
    const { snapshots, graphs, state } = this;
    const { length } = this.timeline;
    return () => {
      this.timeline.length = length;
      Object.assign(this, { snapshots, graphs, state });
    };
  }

  /** Runs one pass on the graph of a stage (or starts the stage with `run` made from an empty graph). */
  run(pass: string, stage: string, run: Pass): Graph {
    const before = this.graphs.get(stage) ?? { name: stage, nodes: [], outputs: [] };
    const start = this.options.now();
    const { graph, hits = {}, rewrites = [], notes = [] } = attempted({ stage, pass, before }, () => run(before));
    const milliseconds = this.options.now() - start;
    attempted({ stage, pass, before, after: graph }, () => this.options.verify(graph, pass));
    this.snapshots = new Map(this.snapshots).set(`${stage}/${pass}`, graph);
    this.graphs = new Map(this.graphs).set(stage, graph);
    const earlier = this.state;
    const committed = once(() => commit(earlier(), stage, graph));
    this.state = () => committed()[0];
    const [nodesBefore, nodesAfter] = [before.nodes.length, graph.nodes.length];
    const counts = { milliseconds, nodesBefore, nodesAfter, hits };
    const entry = withPatches({ pass, stage, ...counts, rewrites, notes }, committed);
    this.timeline.push(entry);
    this.options.onPass?.(entry, graph);
    return graph;
  }
}
