/** The options of a session's calls, checked when the call is made. Throws `SESSION-OPTION` unless said otherwise. */
import type { CombineOptions } from "../../methods/combine/sources.ts";
import type { OutputOptions } from "../files/output.ts";
import { amount, anything, type Checks, checkOptions, flag, list, oneOf, signal, whole } from "../options.ts";
import { loopChecks, type TrainOptions } from "../training/loop.ts";
import { type ScheduleName, scheduleNames } from "../training/schedule.ts";

const code = "SESSION-OPTION";

export interface ForwardOptions {
  /** For every row the name of its adapter, or null for the base model. */
  readonly adapters?: readonly (string | null)[];
}

const forwardChecks: Checks<ForwardOptions> = { adapters: list };

export const checkForward = (options: ForwardOptions): void => checkOptions(options, forwardChecks, code);

export interface SessionTrainOptions extends Omit<TrainOptions, "schedule"> {
  readonly steps: number;
  /** Peak learning rate; 1e-3 unless given. */
  readonly lr?: number;
  readonly schedule?: ScheduleName;
  readonly warmup?: number;
}

const trainChecks: Checks<SessionTrainOptions> = {
  ...loopChecks,
  steps: whole,
  lr: amount,
  schedule: oneOf(scheduleNames),
  warmup: whole,
};

export const checkTrain = (options: SessionTrainOptions): void => checkOptions(options, trainChecks, code);

const outputChecks: Checks<OutputOptions> = { overwrite: flag, signal };

export const checkOutput = (options: OutputOptions): void => checkOptions(options, outputChecks, code);

const combineChecks: Checks<CombineOptions> = {
  combination: anything,
  rank: anything,
  clamp: anything,
  density: anything,
  majoritySign: anything,
  seed: anything,
};

/** Names only: what the values may be depends on the combination. Throws `SESSION-COMBINE-OPTION`. */
export const checkCombine = (options: CombineOptions): void =>
  checkOptions(options, combineChecks, "SESSION-COMBINE-OPTION");

/** What is combined: lists both. */
export const checkCombined = ({ names = null, weights = null }: { names: unknown; weights: unknown }): void =>
  checkOptions({ names, weights }, { names: list, weights: list }, "SESSION-COMBINE-OPTION");
