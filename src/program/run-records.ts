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
