/** The options of a session's calls, checked when the call is made. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { CombineOptions } from "../../methods/combine/index.ts";
import type { Model } from "../files/model.ts";
import type { OutputOptions } from "../files/output.ts";
import {
  amount,
  anything,
  type Checks,
  callable,
  checkOptions,
  flag,
  list,
  oneOf,
  record,
  seed,
  signal,
  whole,
} from "../options.ts";
import type { TrainOptions } from "../training/loop.ts";
import { type Schedule, scheduleNames } from "../training/schedule.ts";
import type { GenerateOptions } from "./generate.ts";
import type { StartOptions } from "./start.ts";
import type { ForwardOptions, SessionTrainOptions, StepOptions } from "./types.ts";

const code = "SESSION-OPTION";

const stepChecks: Checks<StepOptions> = { lr: amount, weightDecay: amount, maxNorm: amount };

/** Throws `SESSION-OPTION`, as all checks here do. */
export const checkStep = (options: StepOptions): void => checkOptions(options, stepChecks, code);

const forwardChecks: Checks<ForwardOptions> = { adapters: list };

export const checkForward = (options: ForwardOptions): void => checkOptions(options, forwardChecks, code);

const loopChecks: Checks<Omit<TrainOptions, "schedule">> = {
  weightDecay: amount,
  maxNorm: amount,
  validation: record,
  evalEvery: whole,
  save: callable,
  saveEvery: whole,
  signal,
};

const scheduleChecks: Checks<Schedule> = { name: oneOf(scheduleNames), lr: amount, warmup: whole, steps: whole };

/** Options of the training loop, with its schedule. */
export function checkLoop(options: TrainOptions): void {
  checkOptions(options, { ...loopChecks, schedule: record }, code);
  // Every field of a schedule is needed: one that is missing is a wrong value.
  const { name = null, lr = null, warmup = null, steps = null, ...others } = options.schedule as Partial<Schedule>;
  checkOptions({ name, lr, warmup, steps, ...others } as Schedule, scheduleChecks, code);
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

/** `auto`: a hardware WebGPU adapter, else the CPU; `cpu`: TensorFlow.js; `reference`: f64 evaluation, slow. */
export const deviceNames = ["auto", "webgpu", "cpu", "reference"] as const;

const startChecks: Checks<StartOptions> = {
  device: (value) =>
    deviceNames.includes(value as (typeof deviceNames)[number]) ||
    (typeof value === "object" && value !== null && ("instantiate" in value || "device" in value))
      ? undefined
      : `${deviceNames.join(", ")}, an open device or an executor`,
  model: record,
  adapter: anything,
  experts: record,
  initial: record,
  fixed: record,
  seed,
  sink: record,
  signal,
  onProgress: callable,
  generated: callable,
};

/** `model`: the program's. */
export function checkStart(options: StartOptions, model: Model): void {
  checkOptions(options, startChecks, code);
  if (options.model === undefined || options.model === model) return;
  throw new WebpeftError(code, {
    message: "the program was compiled for another model",
    where: "model",
    expected: model.name,
    got: options.model.name,
    help: "compile the model that is to be run",
  });
}

const generateChecks: Checks<GenerateOptions> = {
  maxTokens: whole,
  temperature: amount,
  seed,
  signal,
  fixed: record,
  onText: callable,
  warn: callable,
};

export const checkGenerate = (options: GenerateOptions): void => checkOptions(options, generateChecks, code);
