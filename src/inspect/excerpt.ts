/** Parts of a program as text: what is computed at one module or in one layer, and its kernels, the most expensive first. */
import { type Dispatch, printKernel } from "../codegen/index.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import type { Graph } from "../ir/graph.ts";
import { workOf } from "../ir/registry.ts";
import { printGraph } from "../ir/text/print.ts";
import type { StageName } from "../program/index.ts";
import { leastMs, type Measurement } from "../program/measurement.ts";
import { type Errors, errorsIn, largestErrors, type Precision } from "../program/precision.ts";
import { type KernelWork, withDispatch } from "./kernel-work.ts";
import { isAt, isEverywhere, type ModelPlace, pathsOf, sitesOf } from "./places.ts";
import { unknownName, unknownStage } from "./unknown.ts";
import type { GraphLevel, InspectedProgram } from "./views.ts";

export interface ExcerptOptions extends ModelPlace {
  /** `micro` where the program trains, else `forward` or `merge`. Of kernels also `step`: all stages of a training step. */
  readonly stage?: StageName | "step" | undefined;
  /** The graph as a pass left it; the stage's last one without. */
  readonly after?: string | undefined;
}

interface KernelRowOptions extends ModelPlace {
  readonly stage?: StageName | "step" | undefined;
  readonly measured?: Measurement | undefined;
  readonly compared?: Precision | undefined;
}

/** Sorted from the largest; names from the first. */
export type KernelSort = "ms" | "error" | "flops" | "bytes" | "dispatches" | "name";

/** A kernel with what it does in one stage. */
export interface KernelRow extends KernelWork {
  readonly name: string;
  /** Milliseconds, where they were measured, and what they would be at the peak of the device. */
  readonly ms?: number;
  readonly leastMs?: number;
  /** The largest errors against f64 of what it stores, where that was compared. */
  readonly error?: number;
  readonly own?: number;
}

/** The nodes at a place, and the ports that they read. */
function nodesAt(graph: Graph, place: ModelPlace): ReadonlySet<number> {
  const found = new Set<number>();
  graph.nodes.forEach((node, id) => {
    if (node.op === "port" || !isAt(node, place)) return;
    found.add(id);
    for (const input of node.inputs) if (graph.nodes[input]!.op === "port") found.add(input);
  });
  return found;
}

/** A stage's graph, as a pass left it. Throws `INSPECT-UNKNOWN` for a stage or a pass that there is not. */
function graphOf(program: InspectedProgram, level: "operator" | "tensor", options: ExcerptOptions): Graph {
  const { stage = program.mainStage, after } = options;
  const ofStage = program.timeline.filter((entry) => entry.stage === stage);
  if (stage === "step" || (ofStage.length === 0 && !program.stages.some(({ name }) => name === stage)))
    throw unknownName(
      "stage",
      stage,
      program.stages.map(({ name }) => name),
    );
  const pass = after ?? (level === "operator" ? "algebra" : undefined);
  if (pass === undefined) return program.graph("tensor", stage);
  const ran = ofStage.some((entry) => entry.pass === pass);
  const graph = ran ? program.graphAfter(pass, stage) : undefined;
  if (graph !== undefined) return graph;
  if (ofStage.length === 0) {
    throw new WebpeftError("INSPECT-UNKNOWN", {
      message: `no pass makes the graph of ${stage}, which has no operators`,
      expected: "--print tensor or kernel",
      got: `the graph after ${pass}`,
    });
  }
  throw unknownName(
    `pass for ${stage}`,
    pass,
    ofStage.map((entry) => entry.pass),
  );
}

/**
 * The textual IR of a level, of one place in the model where one is named. Then it is an excerpt, which does not parse as a graph.
 * Throws `INSPECT-UNKNOWN` for a stage or pass that there is not, and where nothing is computed at the place.
 */
export function printLevel(program: InspectedProgram, level: GraphLevel, options: ExcerptOptions = {}): string {
  if (level === "kernel") {
    const names = new Set(kernelRows(program, options).map(({ name }) => name));
    const kernels = program.graph("kernel").filter(({ name }) => names.has(name));
    return `${kernels.map(({ name, ir }) => printKernel(ir, name)).join("\n\n")}\n`;
  }
  const graph = graphOf(program, level, options);
  if (isEverywhere(options)) return printGraph(graph);
  const ids = nodesAt(graph, options);
  if (ids.size === 0) throw nowhere(graph, options);
  return printGraph(graph, (id) => ids.has(id));
}

/** Kernels of a stage, or with `step` of all stages of a training step, that compute something at a place, in the order of the plan. Throws as `printLevel` does. */
export function kernelRows(program: InspectedProgram, options: KernelRowOptions = {}): KernelRow[] {
  const { stage = program.mainStage, measured, compared } = options;
  const chosen: readonly string[] = stage === "step" ? program.stepStages : [stage];
  const planned = program.plan.stages.filter(({ name }) => chosen.includes(name));
  const known = program.plan.stages.map(({ name }) => name);
  if (planned.length === 0) throw unknownStage(stage, known, ["step"]);
  const rows = new Map<string, KernelRow>();
  for (const { name, dispatches } of planned) {
    const times = measured?.stages.find((own) => own.name === name)?.dispatchMs;
    const errors = compared && errorsIn(compared, name);
    const parts = program.generated.parts.find((own) => own.stage === name)!.stored;
    const graph = program.graph("tensor", name as StageName);
    for (const [at, dispatch] of dispatches.entries()) {
      const { kernel } = dispatch;
      const computed = workOf(graph, dispatch.nodes);
      if (!isEverywhere(options) && !computed.some((node) => isAt(node, options))) continue;
      const before = rows.get(kernel);
      const time = timeOf(measured, times?.[at], dispatch, before);
      const largest = errors && largestErrors([errorsOf(before), ...parts[at]!.flat().map((node) => errors.get(node))]);
      rows.set(kernel, { name: kernel, ...withDispatch(before, dispatch, computed), ...time, ...largest });
    }
  }
  if (rows.size === 0) throw nowhere(program.graph("tensor", planned[0]!.name as StageName), options);
  return [...rows.values()];
}

/** The time with that of one more dispatch; nothing where none was measured. */
function timeOf(
  measured: Measurement | undefined,
  took: number | null | undefined,
  dispatch: Dispatch,
  before: KernelRow | undefined,
): Pick<KernelRow, "ms" | "leastMs"> {
  if (measured === undefined) return {};
  const [ms, least] = took == null ? [0, 0] : [took, leastMs(dispatch, measured.peak)];
  return { ms: (before?.ms ?? 0) + ms, leastMs: (before?.leastMs ?? 0) + least };
}

const errorsOf = (row: KernelRow | undefined): Errors | undefined =>
  row?.error === undefined ? undefined : { error: row.error, own: row.own! };

export const sortKernels = (rows: readonly KernelRow[], by: KernelSort): KernelRow[] =>
  [...rows].sort((a, b) => (by === "name" ? (a.name < b.name ? -1 : 1) : (b[by] ?? 0) - (a[by] ?? 0)));

function nowhere(graph: Graph, { site, layer }: ModelPlace): WebpeftError {
  const sites = sitesOf(pathsOf(graph.nodes)).slice(0, 20);
  return new WebpeftError("INSPECT-UNKNOWN", {
    message: "nothing is computed at this place of the model",
    expected: `a module such as ${sites.join(", ")}, and a layer that has it`,
    got: [site ?? "any module", layer === undefined ? "any layer" : `layer ${layer}`].join(" in "),
  });
}
