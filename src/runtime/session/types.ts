/** What sessions are made of, and what their calls take and give. */

import type { SessionBatch } from "../data/batch.ts";
import type { Executor } from "../executors/executor.ts";
import type { Model } from "../files/model.ts";
import type { TrainOptions } from "../training/loop.ts";
import type { ScheduleName } from "../training/schedule.ts";
import type { SessionAdapters } from "./adapters.ts";

export interface StepOptions {
  readonly lr?: number;
  readonly weightDecay?: number;
  /** Gradients are scaled down to this global norm; 0 switches clipping off. */
  readonly maxNorm?: number;
}

export interface ForwardOptions {
  /** For every row the name of its adapter, or null for the base model. */
  readonly adapters?: readonly (string | null)[];
}

export interface ForwardResult {
  readonly logits: Float32Array;
  /** The mean loss, and of how many labels it is; absent when none counts. */
  readonly loss?: number;
  readonly labels?: number;
}

export interface StepResult {
  readonly step: number;
  readonly loss: number;
  /** Global norm of the gradient before clipping. */
  readonly gradNorm: number;
  /** Labels that counted. */
  readonly labels: number;
}

export interface OptimizerState {
  /** Optimizer steps done. */
  readonly step: number;
  /** Whose it is: the same for programs that train the same tensors. */
  readonly program: string;
  readonly params: Float32Array;
  readonly moment1: Float32Array;
  readonly moment2: Float32Array;
}

/** A batch, or the micro-batches of a step, with the step's options. */
export interface PlannedStep {
  readonly batch: SessionBatch | readonly SessionBatch[];
  readonly options: StepOptions;
}

export interface SessionParts {
  readonly adapters: SessionAdapters;
  readonly model: Model;
  readonly executor: Executor;
  /** Runs the merge stage; may be another executor than the one that trains. */
  readonly mergeExecutor: () => Promise<Executor>;
  readonly seed: number;
  /** Frees the device, when the session owns it. */
  readonly release: () => void;
}

export interface SessionTrainOptions extends Omit<TrainOptions, "schedule"> {
  readonly steps: number;
  /** Peak learning rate; 1e-3 unless given. */
  readonly lr?: number;
  readonly schedule?: ScheduleName;
  readonly warmup?: number;
}
