/** What people see of a program: text, graphs, kernels, the plan. */
import { type Dispatch, type Generated, generate, printKernel, type Target } from "../codegen/index.ts";
import type { Graph } from "../ir/graph.ts";
import { printGraph } from "../ir/text/print.ts";
import type { TimelineEntry } from "../passes/manager.ts";
import type { CompiledProgram, StageName } from "../program/index.ts";
import { dispatchesToDot, toDot } from "./dot.ts";
import { unknownName } from "./unknown.ts";

/** A program with what its views are made of. */
export interface ViewedProgram extends CompiledProgram {
  readonly target: Target;
  /** One entry per pass and stage: time, rule hits, patches both ways, costs compared. Grows when `init` or `merge` are asked for. */
  readonly timeline: readonly TimelineEntry[];
  /** The main stage after `algebra`. */
  readonly operatorGraph: Graph;
  /** A stage's graph as a pass left it; undefined where the pass did not run on it. `INSPECT-UNKNOWN` for a pass or stage that there is not. */
  readonly graphAfter: (pass: string, stage: StageName) => Graph | undefined;
}

/** A program that can be looked at. */
export type InspectedProgram = ViewedProgram & ProgramViews;

/** One distinct kernel with what its dispatches do together. */
export interface ProgramKernel {
  readonly name: string;
  readonly wgsl: string;
  readonly workgroup: number;
  /** Grid of its first dispatch. */
  readonly grid: readonly [number, number, number];
  /** Nodes it computes, as `stage/%id`. */
  readonly nodes: readonly string[];
  /** Of one training step, or of one forward pass where the program does not train; 0 for kernels that neither uses. */
  readonly flops: number;
  readonly bytes: number;
  /** Bytes that are read, and that are written. */
  readonly reads: number;
  readonly writes: number;
  /** In all stages. */
  readonly dispatches: number;
  /** Dispatches, flops and bytes in every stage that uses it. */
  readonly stages: Readonly<Partial<Record<StageName, StageCounts>>>;
}

type Moved = Pick<Dispatch, "flops" | "bytes" | "reads" | "writes">;

interface StageCounts extends Moved {
  readonly dispatches: number;
}

/** The stages of a training step; what runs once before it, and evaluation, are none of them. */
export const stepStages: readonly StageName[] = [
  "project",
  "micro_parameters",
  "micro",
  "accumulate",
  "parameters_backward",
  "update",
];

const graphLevels = ["operator", "tensor", "kernel"] as const;
export type GraphLevel = (typeof graphLevels)[number];

function checkLevel(level: GraphLevel): void {
  if (!graphLevels.includes(level)) throw unknownName("level", level, graphLevels);
}

/** A kernel as the schedules made it, before it is printed as WGSL. */
export interface KernelGraph {
  readonly name: string;
  readonly ir: Generated["kernels"][number]["ir"];
}

const total = (dispatches: readonly Dispatch[], field: keyof Moved): number =>
  dispatches.reduce((sum, dispatch) => sum + dispatch[field], 0);

const moved = (dispatches: readonly Dispatch[]): Moved => ({
  flops: total(dispatches, "flops"),
  bytes: total(dispatches, "bytes"),
  reads: total(dispatches, "reads"),
  writes: total(dispatches, "writes"),
});

/** `graphAfter` that throws `INSPECT-UNKNOWN` for names that nothing has. */
export function knownGraphAfter({ graphAfter, timeline, stages }: ViewedProgram): ViewedProgram["graphAfter"] {
  return (pass, stage) => {
    const graph = graphAfter(pass, stage);
    if (graph !== undefined) return graph;
    const passes = timeline.map((entry) => entry.pass);
    if (!passes.includes(pass)) throw unknownName("pass", pass, passes);
    const known = [...stages.map(({ name }) => name), ...timeline.map((entry) => entry.stage)];
    if (!known.includes(stage)) throw unknownName("stage", stage, known);
    return undefined;
  };
}

/** Text, graphs, kernels and the plan of a program. */
export class ProgramViews {
  private made: Generated | undefined;

  constructor(private readonly parts: ViewedProgram) {}

  /** Kernels and plan for the program's target; made when first asked for. */
  get generated(): Generated {
    this.made ??= generate(this.parts.stages, this.parts.storage, this.parts.target);
    return this.made;
  }

  get plan(): Generated["plan"] {
    return this.generated.plan;
  }

  get kernels(): readonly ProgramKernel[] {
    const { kernels, plan } = this.generated;
    const counting = this.stepStages;
    const isCounted = (stage: StageName): boolean => counting.includes(stage);
    return kernels.map(({ name, wgsl, workgroup }) => {
      const runs = plan.stages
        .map((stage) => ({ stage: stage.name, own: stage.dispatches.filter(({ kernel }) => kernel === name) }))
        .filter(({ own }) => own.length > 0);
      const counted = runs.flatMap(({ stage, own }) => (isCounted(stage) ? own : []));
      return {
        name,
        wgsl,
        workgroup,
        grid: runs[0]!.own[0]!.grid,
        nodes: runs.flatMap(({ stage, own }) => own.flatMap(({ nodes }) => nodes.map((id) => `${stage}/%${id}`))),
        ...moved(counted),
        dispatches: runs.reduce((sum, { own }) => sum + own.length, 0),
        stages: Object.fromEntries(runs.map(({ stage, own }) => [stage, { dispatches: own.length, ...moved(own) }])),
      };
    });
  }

  /** The stages of what people count: of a training step, or of a forward pass where the program does not train. */
  get stepStages(): readonly StageName[] {
    return this.parts.stages.some(({ name }) => name === "micro") ? stepStages : ["forward"];
  }

  /** The graph of a stage at tensor level, or of the main stage at operator level (after `algebra`); at kernel level all kernels. */
  graph(level: "kernel"): readonly KernelGraph[];
  graph(level: "operator" | "tensor", stage?: StageName): Graph;
  graph(level: GraphLevel, stage: StageName = this.mainStage): Graph | readonly KernelGraph[] {
    checkLevel(level);
    if (level === "kernel") return this.generated.kernels.map(({ name, ir }) => ({ name, ir }));
    const { operatorGraph, merge, stages } = this.parts;
    if (level === "operator") return operatorGraph;
    const graph = stage === "merge" ? merge?.() : stages.find((s) => s.name === stage)?.graph;
    if (graph !== undefined) return graph;
    const known = stages.map(({ name }) => name);
    throw unknownName("stage", stage, merge === undefined ? known : [...known, "merge"]);
  }

  /** The stage that people mean when they name none. */
  get mainStage(): StageName {
    const { mode, stages } = this.parts;
    if (mode === "merge") return "merge";
    return stages.some((s) => s.name === "micro") ? "micro" : "forward";
  }

  /** Textual IR, of a level or `INSPECT-UNKNOWN`: SSA text for the graphs, structured kernel text for the kernels. */
  print(level: GraphLevel): string {
    checkLevel(level);
    if (level !== "kernel") return printGraph(this.graph(level));
    return this.graph(level)
      .map(({ name, ir }) => printKernel(ir, name))
      .join("\n\n");
  }

  /** Graphviz text: values and their readers, or at kernel level the dispatches of all stages. */
  toDot(level: GraphLevel): string {
    checkLevel(level);
    return level === "kernel" ? dispatchesToDot(this.plan.stages) : toDot(this.graph(level));
  }
}
