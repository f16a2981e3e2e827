/** What the report shows, of everything that the compiler made. */
import { type Dispatch, type Generated, type GeneratedKernel, partWords, wordNames } from "../codegen/index.ts";
import { type Graph, type Node, portName } from "../ir/graph.ts";
import { flopsOf } from "../ir/registry.ts";
import { byteWidth, sizeOf, typeText } from "../ir/types.ts";
import { recomputeCosts } from "../passes/recompute.ts";
import { type Clock, leastMs, type Measurement } from "../program/measurement.ts";
import { type Errors, errorsIn, largestErrors, type Precision } from "../program/precision.ts";
import { aloneRecord } from "./alone.ts";
import { lineOf } from "./places.ts";
import { passRecords, ruleRecords } from "./report-passes.ts";
import {
  type DecisionRecord,
  type DispatchRecord,
  type FailureRecord,
  type KernelRecord,
  type MeasuredRecord,
  type NodeRecord,
  type PartRecord,
  type ReportData,
  reportVersion,
  type StageRecord,
} from "./report-types.ts";
import { sharedNotes } from "./timeline.ts";
import { stepStages, type ViewedProgram } from "./views.ts";

/** What a report is made of: a program, or what there is of one. */
export interface ReportSource
  extends Pick<ViewedProgram, "adapter" | "merge" | "mode" | "batch" | "length" | "modelConfig" | "diagnostics">,
    Pick<ViewedProgram, "stages" | "target" | "timeline" | "operatorGraph" | "graphAfter"> {
  readonly generated: Generated;
}

interface ReportMore {
  readonly measured?: Measurement | undefined;
  readonly compared?: Precision | undefined;
  readonly failure?: FailureRecord | undefined;
}

/** Texts by their places; nodes repeat a few hundred of them ten thousand times. */
class Texts {
  readonly all: string[] = [];
  private readonly places = new Map<string, number>();

  at(text: string): number {
    const known = this.places.get(text);
    if (known !== undefined) return known;
    this.places.set(text, this.all.length);
    return this.all.push(text) - 1;
  }
}

/** A node as views call it: its op with its einsum, or the role and the name of a port. */
export function nodeTitle(node: Node): string {
  const { attributes, op } = node;
  const detail = typeof attributes.spec === "string" ? ` ${attributes.spec}` : "";
  return op === "port" ? `${String(attributes.role)} ${portName(node)}` : `${op}${detail}`;
}

function nodeRecord(node: Node, graph: Graph, texts: Texts): NodeRecord {
  const { op, type, inputs } = node;
  const isTensor = type.kind === "tensor";
  return [
    texts.at(nodeTitle(node)),
    texts.at(typeText(type)),
    texts.at(node.scope ?? ""),
    texts.at(lineOf(node)),
    node.phase === "backward" ? 1 : 0,
    op.startsWith("op.") ? 0 : flopsOf(graph, node),
    isTensor ? sizeOf(type.shape) * byteWidth(type.dtype) : 0,
    inputs,
  ];
}

const nodeRecords = (graph: Graph, texts: Texts): NodeRecord[] =>
  graph.nodes.map((node) => nodeRecord(node, graph, texts));

/** Parts of a dispatch from its uniform block: a record of `end`, `first` and the words for each. */
function partRecords(
  { sizes }: Dispatch,
  { words, variables }: Pick<KernelRecord, "words" | "variables">,
  stored: readonly (readonly number[])[],
  held: readonly ReadonlyMap<string, number>[],
): PartRecord[] {
  const record = partWords(words.length);
  return stored.map((nodes, part) => {
    const [end = 0, first = 0, ...values] = sizes.slice(part * record, part * record + 2 + words.length);
    const own = variables.map((name) => held[part]!.get(name) ?? -1);
    return { stored: nodes, words: values, variables: own, workgroups: end - first };
  });
}

function stageRecord(
  program: ReportSource,
  { name, graph }: { name: string; graph: Graph },
  texts: Texts,
  kernels: ReadonlyMap<string, KernelRecord>,
  { measured, compared }: ReportMore,
): StageRecord {
  const { plan, values, parts, variables } = program.generated;
  const held = variables.find(({ stage }) => stage === name)?.dispatches ?? [];
  const stored = parts.find(({ stage }) => stage === name)?.stored ?? [];
  const dispatches = plan.stages.find((stage) => stage.name === name)?.dispatches ?? [];
  const times = measured?.stages.find((stage) => stage.name === name)?.dispatchMs;
  const nodeErrors = compared && errorsIn(compared, name);
  const errorsOf = (own: readonly PartRecord[]): Errors | undefined =>
    largestErrors(own.flatMap((part) => part.stored.map((node) => nodeErrors?.get(node))));
  const kept = values.find(({ stage }) => stage === name)?.values ?? [];
  return {
    name,
    isOfStep: stepStages.some((stage) => stage === name),
    nodes: nodeRecords(graph, texts),
    outputs: graph.outputs.map((output) => [output.name, output.node]),
    dispatches: dispatches.map((dispatch, i): DispatchRecord => {
      const { kernel, grid, nodes, flops, bytes, reads, writes, always, outputs } = dispatch;
      const bound = dispatch.bindings.reduce((sum, { size }) => sum + size, 0);
      const own = partRecords(dispatch, kernels.get(kernel)!, stored[i]!, held[i]!);
      const ms = times?.[i];
      const moved = { flops, bytes, reads, writes, bound };
      const work = { kernel, grid, nodes, ...moved, always, outputs: always ? [] : outputs, parts: own };
      const errors = errorsOf(own);
      const time: DispatchRecord["time"] = ms == null ? undefined : [ms, leastMs(dispatch, measured!.peak)];
      return { ...work, ...(time && { time }), ...(errors && { errors }) };
    }),
    values: kept.map((value) => {
      const { node, buffer, offset, bytes, first, last, why } = value;
      return [node, buffer, offset, bytes, first, last, why];
    }),
    ...(nodeErrors && { errors: [...nodeErrors.values()].map(({ node, error, own }) => [node, error, own] as const) }),
  };
}

/** The kernels by name. */
function kernelRecords(generated: Generated): ReadonlyMap<string, KernelRecord> {
  const { kernels, plan, variables } = generated;
  const holding = new Map(kernels.map(({ name }) => [name, new Set<string>()]));
  for (const [i, { dispatches }] of plan.stages.entries())
    for (const [at, { kernel }] of dispatches.entries())
      for (const held of variables[i]!.dispatches[at]!) for (const name of held.keys()) holding.get(kernel)!.add(name);
  const record = ({ name, wgsl, workgroup, ir }: GeneratedKernel): KernelRecord => {
    const alone = aloneRecord(generated, name, ir);
    const own = { name, wgsl, workgroup, words: wordNames(ir), variables: [...holding.get(name)!] };
    return alone === undefined ? own : { ...own, alone };
  };
  return new Map(kernels.map((kernel) => [kernel.name, record(kernel)]));
}

/** What was decided. How costs grow is for whoever computes with them, and not in the page. */
const decisionRecords = ({ timeline }: ReportSource): DecisionRecord[] =>
  timeline.flatMap(({ stage, pass, notes }) =>
    sharedNotes(notes).map(({ growth: _growth, ...note }) => ({ stage, pass, ...note })),
  );

function factsOf(program: ReportSource): [string, string][] {
  const { adapter, modelConfig, mode, batch, length, target } = program;
  const number = (n: number): string => n.toLocaleString("en");
  const trained = (adapter?.tensors ?? []).filter((t) => t.role === "param").reduce((n, t) => n + sizeOf(t.shape), 0);
  return [
    ["model", String(modelConfig.model_type ?? "unknown")],
    ["mode", mode],
    ["batch", `${batch} x ${length} tokens`],
    ["target", `${target.kind}, ${target.layout}`],
    ["adapted modules", number(adapter?.sites.length ?? 0)],
    ["trained numbers", number(trained)],
  ];
}

const comparedFact = ({ device, seed }: Precision): [string, string] => [
  "compared with f64",
  `${device}, data from seed ${seed}`,
];

const clocks: Readonly<Record<Clock, string>> = {
  device: "timestamps of the device",
  processor: "the clock of the processor that runs the kernels",
  outside: "outside time: every dispatch is a submit of its own, and submitting and waiting count",
};

function measuredRecord({ stages: _stages, clock, ...facts }: Measurement): MeasuredRecord {
  return { ...facts, clock: clocks[clock], isOutside: clock === "outside" };
}

export function reportData(program: ReportSource, more: ReportMore = {}): ReportData {
  const { measured, compared, failure } = more;
  const { adapter, generated, batch, length, mode, modelConfig, target, merge } = program;
  const { plan } = generated;
  const texts = new Texts();
  // Merging is no stage of the plan: there are no dispatches.
  const graphs = mode === "merge" && merge !== undefined ? [{ name: mode, graph: merge() }] : program.stages;
  const kernels = kernelRecords(generated);
  const stages = graphs.map((stage) => stageRecord(program, stage, texts, kernels, more));
  const layers = modelConfig.num_hidden_layers ?? modelConfig.n_layer;
  const fragments = (adapter?.fragments ?? []).concat((adapter?.experts ?? []).flatMap(({ plan }) => plan.fragments));
  return {
    ...{ version: reportVersion, batch, length },
    title: `${adapter?.method ?? "base model"} on ${String(modelConfig.model_type ?? "a model")}${layers === undefined ? "" : `, ${String(layers)} layers`}`,
    subtitle: `${mode}, ${batch} x ${length}, ${target.kind}`,
    facts: [...factsOf(program), ...(compared === undefined ? [] : [comparedFact(compared)])],
    fragments: [...new Map(fragments.map((fragment) => [fragment.text, fragment])).values()],
    fields: adapter?.savedConfig ?? {},
    diagnostics: program.diagnostics.map(({ code, severity, message }) => ({ code, severity, message })),
    passes: passRecords(program, (text) => texts.at(text)),
    rules: ruleRecords(),
    decisions: decisionRecords(program),
    kernels: [...kernels.values()],
    stages,
    operators: nodeRecords(program.operatorGraph, texts),
    texts: texts.all,
    buffers: plan.buffers.map(({ name, bytes, within }) => ({ name, bytes, within: within?.buffer ?? "" })),
    ...(measured === undefined ? {} : { measured: measuredRecord(measured) }),
    ...(failure === undefined ? {} : { failure }),
    recompute: program.stages.flatMap(({ name, graph }) => (name === "micro" ? recomputeCosts(graph) : [])),
    memory: { peakBytes: plan.peakBytes, largestBinding: target.limits.maxStorageBufferBindingSize },
  };
}
