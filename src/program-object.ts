/** A compiled program with what people ask of it: text, graphs, kernels, the plan, and a session on a device. */
import { type Generated, generate, printKernel, type Target } from "./codegen/index.ts";
import { toDot } from "./inspect/dot.ts";
import type { Diagnostic } from "./ir/diagnostics.ts";
import type { Graph } from "./ir/graph.ts";
import { printGraph } from "./ir/text/print.ts";
import type { ModelDescription } from "./models/model.ts";
import type { TimelineEntry } from "./passes/manager.ts";
import type { AdapterPlan, CompiledProgram, ProgramMode, ProgramStorage, Stage, StageName } from "./program.ts";
import type { Model } from "./runtime/files/model.ts";
import type { Session } from "./runtime/session.ts";
import { type StartOptions, startSession } from "./runtime/start.ts";

export interface ProgramParts extends CompiledProgram {
  readonly source: Model;
  readonly target: Target;
  readonly timeline: readonly TimelineEntry[];
  readonly operatorGraph: Graph;
}

/** One distinct kernel with what its dispatches do together. */
export interface ProgramKernel {
  readonly name: string;
  readonly wgsl: string;
  readonly workgroup: number;
  /** Grid of its first dispatch. */
  readonly grid: readonly [number, number, number];
  /** Nodes it computes, as `stage/%id`. */
  readonly nodes: readonly string[];
  readonly flops: number;
  readonly bytes: number;
  readonly dispatches: number;
}

export type GraphLevel = "operator" | "tensor";

export class Program implements CompiledProgram {
  readonly mode: ProgramMode;
  readonly batch: number;
  readonly length: number;
  readonly mask: boolean;
  readonly model: ModelDescription;
  readonly modelConfig: Readonly<Record<string, unknown>>;
  readonly adapter?: AdapterPlan;
  readonly init?: Graph;
  readonly merge?: Graph;
  readonly diagnostics: readonly Diagnostic[];
  readonly stages: readonly Stage[];
  readonly storage: ProgramStorage;
  /** One entry per pass and stage: time, rule hits, patches both ways, costs compared. */
  readonly timeline: readonly TimelineEntry[];
  readonly target: Target;
  private made: Generated | undefined;

  constructor(private readonly parts: ProgramParts) {
    this.mode = parts.mode;
    this.batch = parts.batch;
    this.length = parts.length;
    this.mask = parts.mask;
    this.model = parts.model;
    this.modelConfig = parts.modelConfig;
    if (parts.adapter !== undefined) this.adapter = parts.adapter;
    if (parts.init !== undefined) this.init = parts.init;
    if (parts.merge !== undefined) this.merge = parts.merge;
    this.diagnostics = parts.diagnostics;
    this.stages = parts.stages;
    this.storage = parts.storage;
    this.timeline = parts.timeline;
    this.target = parts.target;
  }

  /** Kernels and plan for the program's target; made when first asked for. */
  get generated(): Generated {
    this.made ??= generate(this.stages, this.storage, this.target);
    return this.made;
  }

  get plan(): Generated["plan"] {
    return this.generated.plan;
  }

  get kernels(): readonly ProgramKernel[] {
    const { kernels, plan } = this.generated;
    return kernels.map(({ name, wgsl, workgroup }) => {
      const runs = plan.stages.flatMap((stage) =>
        stage.dispatches.filter((d) => d.kernel === name).map((dispatch) => ({ stage: stage.name, dispatch })),
      );
      const total = (field: "flops" | "bytes"): number => runs.reduce((sum, { dispatch }) => sum + dispatch[field], 0);
      return {
        name,
        wgsl,
        workgroup,
        grid: runs[0]!.dispatch.grid,
        nodes: runs.flatMap(({ stage, dispatch }) => dispatch.nodes.map((id) => `${stage}/%${id}`)),
        flops: total("flops"),
        bytes: total("bytes"),
        dispatches: runs.length,
      };
    });
  }

  /** The graph of a stage at tensor level, or of the main stage at operator level (after `algebra`). */
  graph(level: GraphLevel, stage: StageName = this.mainStage): Graph {
    if (level === "operator") return this.parts.operatorGraph;
    const graph = stage === "merge" ? this.merge : this.stages.find((s) => s.name === stage)?.graph;
    if (graph === undefined) throw new Error(`the program has no stage ${stage}`);
    return graph;
  }

  private get mainStage(): StageName {
    return this.mode === "train" && this.stages.some((s) => s.name === "micro")
      ? "micro"
      : this.mode === "merge"
        ? "merge"
        : "forward";
  }

  /** Textual IR: SSA text for the graphs, structured kernel text for the kernels. */
  print(level: GraphLevel | "kernel"): string {
    if (level !== "kernel") return printGraph(this.graph(level));
    return this.generated.kernels.map(({ name, ir }) => printKernel(ir, name)).join("\n\n");
  }

  /** Graphviz text. */
  toDot(level: GraphLevel): string {
    return toDot(this.graph(level));
  }

  /** A session on a device: weights uploaded, parameters fresh or from an adapter folder. */
  start(options: StartOptions = {}): Promise<Session> {
    const { target } = this;
    return startSession(this, this.parts.source, {
      ...options,
      generated: (facts) => (JSON.stringify(facts) === JSON.stringify(target) ? this.generated : undefined),
    });
  }
}
