/** What runs tell of themselves, as plain data: in events and errors, in the log and in the report of a training. */
import type { StageName } from "./stages.ts";

/** A step of a training. */
export interface TrainedStep {
  /** Counted from 0; the loss is the one before the update. */
  readonly step: number;
  readonly loss: number;
  readonly lr: number;
  /** Global norm of the gradient before clipping. */
  readonly grad_norm: number;
  /** Tokens of the step, padding not counted. */
  readonly tokens: number;
  readonly tokens_per_s: number;
  readonly ms: number;
}

/** The least and the largest finite number of a value, and how many of its numbers are not finite. */
export interface NumberRange {
  readonly node: string;
  readonly least: number;
  readonly most: number;
  readonly notFinite: number;
  readonly count: number;
}

/** A value that a kernel was given: `numbers` from place `from` on, all of them or those around the first that is not finite. */
export interface GivenValue {
  readonly id: number;
  readonly node: string;
  readonly type: string;
  readonly count: number;
  readonly from: number;
  readonly numbers: Float32Array;
}

/** What the kernel was given that stored the first number that is not finite. */
export interface GivenToKernel {
  readonly stage: StageName;
  readonly dispatch: number;
  readonly kernel: string;
  /** The node that it stored, and the place of the first number of it that is not finite. */
  readonly stored: number;
  readonly first: number;
  /** Of the runs of the step, counted from 0: a micro-batch each. */
  readonly run: number;
  /** Inputs of that run that are one number: the seed, the pass, scales, the learning rate. */
  readonly scalars: Readonly<Record<string, number>>;
  /** Whether all numbers are there; else the ranges of the error tell of the others. */
  readonly isWhole: boolean;
  readonly values: readonly GivenValue[];
}

/** Where the first number that is not finite was made. */
export interface NotFiniteOrigin {
  readonly stage: StageName;
  /** `%12 = exp`, and its number. */
  readonly node: string;
  readonly id: number;
  readonly type: string;
  readonly scope?: string;
  /** `file:line` of the formula. */
  readonly line?: string;
  readonly kernel?: string;
  readonly dispatch?: number;
  /** The key of the trained tensor that an update would have made so. */
  readonly parameter?: string;
  readonly result: NumberRange;
  readonly inputs: readonly NumberRange[];
}
