/**
 * The pass manager: runs passes in order over the state of a compilation and keeps a timeline. A pass is a pure function from graph to
 * graph; what it changed is committed once, through immer, so the patches both ways are the timeline that the inspector plays.
 * Nodes that a pass left alone keep their identity and cost no patch.
 */
import { enablePatches, Immer, type Patch } from "immer";
import type { Graph, Node } from "../ir/graph.ts";
import type { CostNote } from "./lower-operators.ts";

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
  readonly patches: readonly Patch[];
  readonly inversePatches: readonly Patch[];
  readonly notes: readonly CostNote[];
}

export interface PassResult {
  readonly graph: Graph;
  readonly hits?: Readonly<Record<string, number>>;
  readonly notes?: readonly CostNote[];
}

export type Pass = (graph: Graph) => PassResult;

export interface ManagerOptions {
  /** Checks a graph after every pass; throws when an invariant is broken. */
  readonly verify: (graph: Graph, pass: string) => void;
  readonly now: () => number;
  /** Without a timeline no patches are made. */
  readonly timeline: boolean;
  /** Told of every pass when it has run. */
  readonly onPass?: PassListener | undefined;
}

export type PassListener = (entry: TimelineEntry, graph: Graph) => void;

type Draft<T> = { -readonly [K in keyof T]: T[K] };

/** Equal up to `from`, which names nodes of the graph before and so differs without anything having changed. */
function sameNode(a: Node | undefined, b: Node): boolean {
  return a !== undefined && JSON.stringify({ ...a, from: null }) === JSON.stringify({ ...b, from: null });
}

export class PassManager {
  readonly timeline: TimelineEntry[] = [];
  private readonly snapshots = new Map<string, Graph>();
  private state: PipelineState = { graphs: {} };
  private readonly immer: Immer;

  constructor(private readonly options: ManagerOptions) {
    enablePatches();
    this.immer = new Immer({ autoFreeze: false });
  }

  graph(stage: string): Graph {
    const graph = this.state.graphs[stage];
    if (graph === undefined) throw new Error(`no graph for stage ${stage}`);
    return graph;
  }

  /** The graph of a stage as a pass left it. */
  after(pass: string, stage: string): Graph | undefined {
    return this.snapshots.get(`${stage}/${pass}`);
  }

  /** Runs one pass on the graph of a stage (or starts the stage with `run` made from an empty graph). */
  run(pass: string, stage: string, run: Pass): Graph {
    const before = this.state.graphs[stage] ?? { name: stage, nodes: [], outputs: [] };
    const start = this.options.now();
    const result = run(before);
    const milliseconds = this.options.now() - start;
    this.options.verify(result.graph, pass);
    this.snapshots.set(`${stage}/${pass}`, result.graph);
    const [patches, inversePatches] = this.commit(stage, before, result.graph);
    const entry: TimelineEntry = {
      pass,
      stage,
      milliseconds,
      nodesBefore: before.nodes.length,
      nodesAfter: result.graph.nodes.length,
      hits: result.hits ?? {},
      patches,
      inversePatches,
      notes: result.notes ?? [],
    };
    this.timeline.push(entry);
    this.options.onPass?.(entry, result.graph);
    return result.graph;
  }

  private commit(stage: string, before: Graph, after: Graph): [readonly Patch[], readonly Patch[]] {
    if (!this.options.timeline) {
      this.state = { graphs: { ...this.state.graphs, [stage]: after } };
      return [[], []];
    }
    const [next, patches, inverse] = this.immer.produceWithPatches(this.state, (draft) => {
      const graphs = draft.graphs as Record<string, Draft<Graph>>;
      graphs[stage] ??= { name: after.name, nodes: [], outputs: [] };
      const nodes = graphs[stage].nodes as Node[];
      after.nodes.forEach((node, id) => {
        if (!sameNode(before.nodes[id], node)) nodes[id] = node;
      });
      nodes.length = after.nodes.length;
      graphs[stage].name = after.name;
      graphs[stage].outputs = after.outputs;
    });
    this.state = next;
    return [patches, inverse];
  }
}
