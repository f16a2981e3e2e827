/** What a compilation that failed had made, and a program of it that can be looked at. */
import { defaultTarget, generate, generateSoFar, type Target } from "../../codegen/index.ts";
import type { Diagnostic } from "../../ir/diagnostics.ts";
import type { Graph } from "../../ir/graph.ts";
import { once } from "../../ir/remember.ts";
import type { TimelineEntry } from "../../passes/manager.ts";
import type { ProgramMode, ProgramStorage, StageName } from "../../program/index.ts";
import type { ReportSource } from "../report-data.ts";
import type { InspectedProgram } from "../views.ts";

export interface CompiledSoFar {
  readonly mode: ProgramMode;
  readonly batch: number;
  readonly length: number;
  readonly target: Target;
  readonly modelConfig: Readonly<Record<string, unknown>>;
  readonly diagnostics: readonly Diagnostic[];
  readonly timeline: readonly TimelineEntry[];
  /** The graphs of all stages, as the last pass left them. */
  readonly graphs: ReadonlyMap<string, Graph>;
  readonly graphAfter: (pass: string, stage: string) => Graph | undefined;
}

const made = new WeakMap<object, CompiledSoFar>();

/** The error of a compilation, with what it had made beside it. */
export function compiledBefore(error: unknown, soFar: CompiledSoFar): unknown {
  if (typeof error === "object" && error !== null && !made.has(error)) made.set(error, soFar);
  return error;
}

export const soFarOf = (error: unknown): CompiledSoFar | undefined =>
  typeof error === "object" && error !== null ? made.get(error) : undefined;

/** A program whose kernels may not all be there, as they are made for a target. */
export function partialProgram(program: InspectedProgram, target: Target = program.target): InspectedProgram {
  const { stages, storage } = program;
  const generated = once(() => generateSoFar(stages, storage, target));
  return new Proxy(program, {
    get: (own, name, receiver) => {
      if (name === "target") return target;
      return name === "generated" ? generated() : Reflect.get(own, name, receiver);
    },
  });
}

const noStorage: ProgramStorage = { buffers: [], bindings: {} };

/** The graphs of a compilation that failed, without kernels. */
export function partialCompilation(soFar: CompiledSoFar): ReportSource {
  const { graphs, target, graphAfter } = soFar;
  const stages = [...graphs].map(([name, graph]) => ({ name: name as StageName, graph }));
  const operatorGraph = stages.map(({ name }) => graphAfter("algebra", name)).find((graph) => graph !== undefined);
  return {
    ...soFar,
    stages,
    generated: generate([], noStorage, target),
    operatorGraph: operatorGraph ?? { name: "operators", nodes: [], outputs: [] },
  };
}

/** Where not even a compilation had begun. */
export const nothingMade = (): ReportSource =>
  partialCompilation({
    ...{ mode: "train", batch: 0, length: 0, target: defaultTarget, modelConfig: {} },
    ...{ diagnostics: [], timeline: [], graphs: new Map(), graphAfter: () => undefined },
  });
