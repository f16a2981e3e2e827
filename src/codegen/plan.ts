/**
 * The plan: what a device does for every stage, as JSON. With the kernels and the data behind ports it is all that a replayer needs.
 *
 * Buffers: `arena` (intermediate values, reused), `inputs` (ports of role input), `outputs` (results that are not in storage), the storage
 * buffers of the program by their names, and `weights:<dtype>` with the weight and buffer ports. Where one would be larger than a binding
 * there are several (`arena:1`, `weights:bf16:1`), and `pieces` of a result that is too large for one. All offsets are bytes.
 */
import type { Graph } from "../ir/graph.ts";
import type { DType } from "../ir/types.ts";
import type { StageName } from "../program/index.ts";
import type { KernelIR } from "./kernel/kernel.ts";

export interface BufferSpec {
  readonly name: string;
  readonly bytes: number;
  /** The buffer is not one of its own but this part of another. Bindings name that one; ports, results and copies name this. */
  readonly within?: { readonly buffer: string; readonly offset: number };
}

export interface BoundRange {
  readonly buffer: string;
  readonly offset: number;
  readonly size: number;
  readonly access: "read" | "read_write";
}

export interface Dispatch {
  readonly kernel: string;
  readonly bindings: readonly BoundRange[];
  /** Words of the uniform block: the records of the parts, see `partWords` in `kernel/kernel.ts`. */
  readonly sizes: readonly number[];
  readonly grid: readonly [number, number, number];
  /** Nodes of the stage's graph whose values it computes or goes through. */
  readonly nodes: readonly number[];
  /** Operations on the elements that it makes. */
  readonly flops: number;
  /** Bytes of the elements that it reads and writes, each once. */
  readonly bytes: number;
  /** Bytes of those that it reads, and of those that it writes. */
  readonly reads: number;
  readonly writes: number;
  /** Writes storage, or is needed by a dispatch that does: always runs. */
  readonly always: boolean;
  /** Outputs (not in storage) that need it. */
  readonly outputs: readonly string[];
}

/** A copy within storage after the dispatches: a result that could not be written in place. */
export interface PlannedCopy {
  readonly from: { readonly buffer: string; readonly offset: number };
  readonly to: { readonly buffer: string; readonly offset: number };
  readonly size: number;
}

export interface PlannedValue {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly buffer: string;
  readonly offset: number;
  /** Weights: axes of `shape` in the order in which they are laid out, outermost first; row-major without it. */
  readonly order?: readonly number[];
  /** Weights: the tensor has these rows (from, to) of the one of its name, which is too large for a binding. */
  readonly rows?: readonly [from: number, to: number];
  /** Outputs: the value has the elements of the output of its name from this one on. */
  readonly from?: number;
}

export interface PlannedStage {
  readonly name: StageName;
  readonly dispatches: readonly Dispatch[];
  readonly copies: readonly PlannedCopy[];
  /** Results by output name; those in storage too. One that is larger than a binding has an entry for every piece, in order. */
  readonly outputs: readonly PlannedValue[];
}

export interface Plan {
  readonly buffers: readonly BufferSpec[];
  /** Where the data of ports goes: inputs at every run, weights and buffers once. */
  readonly inputs: readonly PlannedValue[];
  readonly weights: readonly PlannedValue[];
  readonly stages: readonly PlannedStage[];
  /** Bytes of all buffers together. */
  readonly peakBytes: number;
}

export interface GeneratedKernel {
  readonly name: string;
  readonly wgsl: string;
  /** Kernel IR; `printKernel` makes text of it. */
  readonly ir: KernelIR;
  readonly workgroup: number;
  /** Number of storage bindings; the uniform block, if any, is the binding after them. */
  readonly bindings: readonly { readonly name: string; readonly access: "read" | "read_write" }[];
  readonly sizes: number;
}

/** What a dispatch runs, before it is printed. */
export interface SourceKernel {
  /** The name without its hash. */
  readonly kind: string;
  readonly ir: KernelIR;
}

/** A unit that several schedules could run. */
export interface ScheduleChoice {
  readonly stage: StageName;
  /** Nodes whose values the unit stores. */
  readonly nodes: readonly number[];
  readonly chosen: string;
  /** Costs by schedule, in the unit of the form. */
  readonly candidates: Readonly<Record<string, number>>;
}

/** A value that is in memory between dispatches of a stage. */
export interface KeptValue {
  /** Node of the stage's graph; those behind its last one are copies. */
  readonly node: number;
  readonly buffer: string;
  readonly offset: number;
  readonly bytes: number;
  /** The first and the last dispatch of the stage that touch it. */
  readonly first: number;
  readonly last: number;
  readonly why: "saved for backward" | "temporary" | "output";
}

/** A tensor that a dispatch reads or writes, where it is at that time. */
export interface TouchedTensor {
  /** Of the graph of its stage. */
  readonly node: number;
  readonly writes: boolean;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Axes of `shape` in the order in which they are laid out, outermost first. */
  readonly order: readonly number[];
  readonly buffer: string;
  readonly offset: number;
}

/** What the dispatches of a stage read and write, in the order of the plan. */
export interface StageTensors {
  readonly stage: StageName;
  /** The stage's graph, with copies of results behind its last node. */
  readonly graph: Graph;
  readonly dispatches: readonly (readonly TouchedTensor[])[];
}

/** What the variables in the texts of kernels hold. */
export interface StageVariables {
  readonly stage: StageName;
  /** By dispatch and part, and by name in the text: the node of the stage's graph whose value it holds, of elements of it or as far as it is summed up. */
  readonly dispatches: readonly (readonly ReadonlyMap<string, number>[])[];
}

export interface Generated {
  /** Printed when they, or the name of one, are first asked for. */
  readonly kernels: readonly GeneratedKernel[];
  /** The kernel of a dispatch of the plan, without printing it. */
  sourceOf(dispatch: Dispatch): SourceKernel;
  readonly plan: Plan;
  /** What is in memory between the dispatches of every stage: for people, a device needs none of it. */
  readonly values: readonly { readonly stage: StageName; readonly values: readonly KeptValue[] }[];
  /** The nodes that every part of every dispatch of a stage stores; those behind the last one of its graph are copies. */
  readonly parts: readonly {
    readonly stage: StageName;
    readonly stored: readonly (readonly (readonly number[])[])[];
  }[];
  /** What dispatches read and write: for people too. */
  readonly tensors: readonly StageTensors[];
  /** What variables of kernels hold: for people too. */
  readonly variables: readonly StageVariables[];
  /** What schedules of a unit were compared, by their own estimates. */
  readonly choices: readonly ScheduleChoice[];
}

export const alignUp = (n: number, to: number): number => Math.ceil(n / to) * to;
