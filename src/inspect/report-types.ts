/** What the report has of a program: JSON, in one element of the page. */

import type { Errors } from "../program/precision.ts";
import type { NotFiniteOrigin } from "../program/run-records.ts";
import type { SeededType } from "./seeded.ts";

/** The version of what is described here: a page opens data of its own version. */
export const reportVersion = 1;

/** A node of a graph; texts are places in `ReportData.texts`. */
export type NodeRecord = readonly [
  /** Op with its einsum, or the name of a port. */
  name: number,
  type: number,
  scope: number,
  /** `file:line` of the formula, or the empty text. */
  line: number,
  isBackward: 0 | 1,
  flops: number,
  /** Of its result. */
  bytes: number,
  inputs: readonly number[],
];

export interface PartRecord {
  /** Nodes whose values it stores; those behind the last one of the graph are copies. */
  readonly stored: readonly number[];
  /** Values of the kernel's size words. */
  readonly words: readonly number[];
  /** By the kernel's variables: the node whose value it holds, -1 where it holds none here. */
  readonly variables: readonly number[];
  readonly workgroups: number;
}

export interface DispatchRecord {
  readonly kernel: string;
  readonly grid: readonly number[];
  /** Nodes that it computes. */
  readonly nodes: readonly number[];
  readonly parts: readonly PartRecord[];
  readonly flops: number;
  /** What it reads and writes of elements, together and apart, and all that is bound for it. */
  readonly bytes: number;
  readonly reads: number;
  readonly writes: number;
  readonly bound: number;
  /** Milliseconds, where they were measured, and what they would be at the peak of the device. */
  readonly time?: readonly [took: number, least: number];
  /** The largest of what it stores, where that was compared with f64. */
  readonly errors?: Errors;
  /** Outputs that it is for; always run without them. */
  readonly outputs: readonly string[];
  readonly always: boolean;
}

/** A value in memory between the dispatches of a stage. */
export type ValueRecord = readonly [
  node: number,
  buffer: string,
  offset: number,
  bytes: number,
  first: number,
  last: number,
  why: "saved for backward" | "temporary" | "output",
];

export interface StageRecord {
  readonly name: string;
  /** Whether it is run in every training step. */
  readonly isOfStep: boolean;
  readonly nodes: readonly NodeRecord[];
  readonly outputs: readonly (readonly [name: string, node: number])[];
  readonly dispatches: readonly DispatchRecord[];
  readonly values: readonly ValueRecord[];
  /** Of nodes that are stored, where they were compared with f64. */
  readonly errors?: readonly (readonly [node: number, error: number, own: number])[];
}

/** A dispatch of a kernel on numbers that are made of their places, and what some of its results are. */
export interface AloneRecord {
  readonly stage: string;
  readonly at: number;
  readonly grid: readonly number[];
  /** Words of its uniform block, with loops cut short. */
  readonly sizes: readonly number[];
  readonly bindings: readonly (readonly [bytes: number, access: "read" | "read_write"])[];
  /** Where in a binding, in words, is something else than f32. */
  readonly ranges: readonly (readonly [binding: number, from: number, words: number, dtype: SeededType])[];
  readonly samples: readonly (readonly [binding: number, at: number, word: number])[];
}

export interface KernelRecord {
  readonly name: string;
  readonly wgsl: string;
  readonly workgroup: number;
  /** What its size words are called in its text. */
  readonly words: readonly string[];
  /** Variables of its text that hold values of nodes. */
  readonly variables: readonly string[];
  /** Nothing where its workgroups do too much together for an interpreter. */
  readonly alone?: AloneRecord;
}

/** Products of one matrix with so many vectors, `times` of them. */
interface CostTerm {
  readonly what: string;
  readonly vectors: number;
  readonly out: number;
  readonly in: number;
  readonly times: number;
  readonly flops: number;
}

/** A decision with all places where it was the same, at the same costs. */
export interface DecisionRecord {
  readonly stage: string;
  readonly pass: string;
  readonly decision: string;
  readonly candidates: Readonly<Record<string, number>>;
  /** What costs are sums of, where that is known: of the first place. */
  readonly terms?: Readonly<Record<string, readonly CostTerm[]>>;
  readonly scopes: readonly string[];
  /** Which is taken from or below other numbers of vectors; absent where there is no choice. */
  readonly flips?: readonly {
    readonly to: string;
    readonly side: "from" | "below";
    readonly vectors: number;
  }[];
}

/**
 * A node near a rewrite: texts by their places in `ReportData.texts`, inputs by their places in the same list (-1 where they are not in it).
 * `mark`: 0 is left alone, 1 is gone or new, 2 is what the rule changed or what stands in its place. `was`: the place of the same node before.
 */
export type SnippetNode = readonly [
  name: number,
  type: number,
  inputs: readonly number[],
  mark: 0 | 1 | 2,
  was: number,
];

/** Rewrites of a rule that look alike, with what is near them in the graphs before and after. */
export interface RewriteRecord {
  readonly rule: string;
  readonly before: readonly SnippetNode[];
  readonly after: readonly SnippetNode[];
  /** Where: a module, and the numbers of the nodes before and after. */
  readonly places: readonly (readonly [scope: number, before: readonly number[], after: readonly number[]])[];
}

export interface RuleRecord {
  /** What the rule does. */
  readonly doc: string;
  /** Where it is written, `file:line`, or nothing. */
  readonly place: string;
}

export interface PassRecord {
  readonly stage: string;
  readonly pass: string;
  readonly milliseconds: number;
  readonly before: number;
  readonly after: number;
  readonly hits: Readonly<Record<string, number>>;
  readonly rewrites: readonly RewriteRecord[];
}

export interface FragmentRecord {
  readonly file: string;
  /** Number of the first line in that file. */
  readonly line: number;
  readonly text: string;
}

/** How times of dispatches were measured, and what the device reaches. */
export interface MeasuredRecord {
  readonly device: string;
  /** In words: whose clock it is. */
  readonly clock: string;
  /** Whether times count what it takes to submit and to wait. */
  readonly isOutside: boolean;
  readonly runs: number;
  readonly warmUps: number;
  readonly seed: number;
  /** Milliseconds of a step whose dispatches nobody measured. */
  readonly wholeMs: number;
  readonly peak: { readonly flopsPerSecond: number; readonly bytesPerSecond: number; readonly probe: string };
}

interface RecomputeRecord {
  /** Modules whose values are made again. */
  readonly scopes: readonly string[];
  /** Bytes that would not be kept. */
  readonly saves: number;
  /** Flops to make them again. */
  readonly flops: number;
}

/** What went wrong, and where that is in the program as far as it was made. */
export interface FailureRecord {
  /** Of the error; `DEFECT` for one that is none of the user's. */
  readonly code: string;
  readonly message: string;
  readonly where?: string;
  readonly expected?: string;
  readonly got?: string;
  readonly help?: string;
  /** Of defects. */
  readonly stack?: string;
  /** What else was wrong, as text. */
  readonly also: readonly string[];
  /** What was being done, the innermost first. */
  readonly doing: readonly string[];
  readonly stage?: string;
  readonly pass?: string;
  readonly rule?: string;
  /** Of the stage's graph: what a kernel stores that could not be made, or what a rule was at. */
  readonly nodes?: readonly number[];
  /** What a kernel stores that could not be made, and what it reads. */
  readonly values?: readonly {
    readonly role: "stores" | "reads";
    readonly node: string;
    readonly type: string;
    readonly bytes: number;
  }[];
  readonly kernel?: string;
  /** By its place in the stage. */
  readonly dispatch?: number;
  /** The text of the kernel, where the device refused it, and what it says of it: `line:column message`. */
  readonly wgsl?: string;
  readonly said?: readonly string[];
  /** Where the first number that is not finite was made. */
  readonly origin?: NotFiniteOrigin;
  /** The command that shows the error again, or why there is none. */
  readonly reproduce?: string;
}

export interface ReportData {
  readonly version: number;
  readonly batch: number;
  readonly length: number;
  readonly title: string;
  readonly subtitle: string;
  readonly facts: readonly (readonly [name: string, value: string])[];
  readonly fragments: readonly FragmentRecord[];
  /** Fields of the config as it is saved. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly diagnostics: readonly { readonly code: string; readonly severity: string; readonly message: string }[];
  readonly texts: readonly string[];
  readonly passes: readonly PassRecord[];
  /** By name. */
  readonly rules: Readonly<Record<string, RuleRecord>>;
  readonly decisions: readonly DecisionRecord[];
  readonly kernels: readonly KernelRecord[];
  readonly stages: readonly StageRecord[];
  /** The main stage after `algebra`. */
  readonly operators: readonly NodeRecord[];
  readonly buffers: readonly { readonly name: string; readonly bytes: number; readonly within: string }[];
  readonly measured?: MeasuredRecord;
  /** Where there is one, the rest is what was made before it. */
  readonly failure?: FailureRecord;
  readonly memory: { readonly peakBytes: number; readonly largestBinding: number };
  /** Parts of the forward pass that could be made again for the backward pass, the first ones first. */
  readonly recompute: readonly RecomputeRecord[];
}
