/** What the report shows, as JSON that its script reads. Nodes are short records, since a program has thousands. */
import type { Diagnostic } from "../ir/diagnostics.ts";
import { type Graph, type Node, portName } from "../ir/graph.ts";
import { sizeOf, typeText } from "../ir/types.ts";
import type { InspectedProgram, ProgramKernel } from "./views.ts";

/** [op or port name, type, scope, inputs, `file:line` of the formula]. */
type NodeRecord = readonly [string, string, string, readonly number[], string];

interface Decision {
  readonly stage: string;
  readonly decision: string;
  readonly candidates: Readonly<Record<string, number>>;
  readonly scopes: readonly string[];
}

export interface ReportData {
  readonly title: string;
  readonly facts: readonly (readonly [string, string])[];
  readonly formula: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly diagnostics: readonly Diagnostic[];
  readonly passes: readonly {
    readonly stage: string;
    readonly pass: string;
    readonly milliseconds: number;
    readonly before: number;
    readonly after: number;
    readonly hits: Readonly<Record<string, number>>;
  }[];
  readonly decisions: readonly Decision[];
  readonly kernels: readonly ProgramKernel[];
  readonly stages: readonly {
    readonly name: string;
    readonly nodes: readonly NodeRecord[];
    readonly dispatches: readonly {
      readonly kernel: string;
      readonly grid: readonly number[];
      readonly nodes: readonly number[];
      readonly flops: number;
      readonly bytes: number;
      readonly when: string;
    }[];
  }[];
  readonly buffers: readonly { readonly name: string; readonly bytes: number; readonly within: string }[];
}

function nodeRecord(node: Node): NodeRecord {
  const { attributes, op, location } = node;
  const detail = typeof attributes.spec === "string" ? ` ${attributes.spec}` : "";
  const name = op === "port" ? `port ${portName(node)}` : `${op}${detail}`;
  const place = location === undefined ? "" : `${location.file}:${location.line}`;
  return [name, typeText(node.type), node.scope ?? "", node.inputs, place];
}

/** Decisions with equal outcome and costs are one line with all their places. */
function decisions(program: InspectedProgram): Decision[] {
  const groups = new Map<string, { first: Omit<Decision, "scopes">; scopes: string[] }>();
  for (const { stage, notes } of program.timeline) {
    for (const { scope, decision, candidates } of notes) {
      const key = JSON.stringify([stage, decision, candidates]);
      const group = groups.get(key) ?? { first: { stage, decision, candidates }, scopes: [] };
      group.scopes.push(scope);
      groups.set(key, group);
    }
  }
  return [...groups.values()].map(({ first, scopes }) => ({ ...first, scopes }));
}

function facts(program: InspectedProgram): [string, string][] {
  const { adapter, plan, kernels, modelConfig, mode, batch, length, target } = program;
  const number = (n: number): string => n.toLocaleString("en");
  const trained = (adapter?.tensors ?? []).filter((t) => t.role === "param").reduce((n, t) => n + sizeOf(t.shape), 0);
  const dispatches = plan.stages.map((stage) => `${stage.dispatches.length} ${stage.name}`);
  const main = plan.stages.find((s) => s.name === "micro" || s.name === "forward");
  const flops = (main?.dispatches ?? []).reduce((sum, d) => sum + d.flops, 0);
  return [
    ["model", String(modelConfig.model_type ?? "unknown")],
    ["mode", mode],
    ["batch", `${batch} x ${length} tokens`],
    ["target", `${target.kind}, ${target.layout}`],
    ["adapted layers", number(adapter?.sites.length ?? 0)],
    ["trained numbers", number(trained)],
    ["distinct kernels", number(kernels.length)],
    ["dispatches", dispatches.join(", ")],
    [`flops of ${main?.name ?? "a run"}`, `${(flops / 1e6).toFixed(1)} M`],
    ["device memory", `${(plan.peakBytes / 2 ** 20).toFixed(2)} MiB`],
  ];
}

function stage(program: InspectedProgram, name: string, graph: Graph): ReportData["stages"][number] {
  const planned = program.plan.stages.find((s) => s.name === name);
  const dispatches = (planned?.dispatches ?? []).map(({ kernel, grid, nodes, flops, bytes, always, outputs }) => ({
    ...{ kernel, grid, nodes, flops, bytes },
    when: always ? "always" : `for ${outputs.join(", ")}`,
  }));
  return { name, nodes: graph.nodes.map(nodeRecord), dispatches };
}

export function reportData(program: InspectedProgram): ReportData {
  const { adapter, plan } = program;
  return {
    title: `${adapter?.method ?? "base model"} on ${String(program.modelConfig.model_type ?? "a model")}`,
    facts: facts(program),
    formula: adapter?.source ?? "",
    fields: adapter?.savedConfig ?? {},
    diagnostics: program.diagnostics,
    passes: program.timeline.map((entry) => ({
      ...{ stage: entry.stage, pass: entry.pass, milliseconds: entry.milliseconds, hits: entry.hits },
      ...{ before: entry.nodesBefore, after: entry.nodesAfter },
    })),
    decisions: decisions(program),
    kernels: program.kernels,
    stages: program.stages.map(({ name, graph }) => stage(program, name, graph)),
    buffers: plan.buffers.map(({ name, bytes, within }) => ({ name, bytes, within: within?.buffer ?? "" })),
  };
}
