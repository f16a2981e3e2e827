/** The training loop: steps, evaluation and checkpoints as a stream of events. Breaking out of it leaves a usable session. */
import type { CompiledProgram } from "../../program/index.ts";
import type { TrainedStep } from "../../program/run-records.ts";
import { copiedBatch, type SessionBatch } from "../data/batch.ts";
import { type BatchStream, oneBatchStream, type StreamBatch } from "../data/dataset.ts";
import { amount, type Checks, callable, checkOptions, oneOf, record, signal, whole } from "../options.ts";
import type { ForwardResult } from "../runs/forward.ts";
import { copiedStep, type PlannedStep, type StepOptions, type StepResult, stepChecks } from "../runs/step.ts";
import { learningRate, type Schedule, scheduleNames } from "./schedule.ts";

/** What is trained: a session. */
export interface Trained {
  readonly program: Pick<CompiledProgram, "batch" | "length">;
  /** Optimizer steps done. */
  readonly steps: number;
  /** Takes a step when its turn comes: `plan` is told its number, and gives none where there is nothing left to do. */
  plannedStep(plan: (step: number) => PlannedStep | undefined): Promise<StepResult | undefined>;
}

/** What is evaluated: a session. */
export interface Evaluated {
  forward(batch: SessionBatch): Promise<ForwardResult>;
}

export interface StepEvent extends TrainedStep {
  readonly type: "step";
}

interface EvalEvent {
  readonly type: "eval";
  /** Steps done. */
  readonly step: number;
  readonly loss: number;
}

interface CheckpointEvent {
  readonly type: "checkpoint";
  readonly step: number;
}

interface DoneEvent {
  readonly type: "done";
  readonly step: number;
  readonly status: "finished" | "stopped";
}

export type TrainEvent = StepEvent | EvalEvent | CheckpointEvent | DoneEvent;

export interface TrainOptions extends Omit<StepOptions, "lr"> {
  readonly schedule: Schedule;
  /** Validation data and how often it is looked at, in steps. */
  readonly validation?: BatchStream;
  readonly evalEvery?: number;
  /** Called after every `saveEvery` steps, and when the run is stopped early. */
  readonly save?: (step: number) => Promise<void>;
  readonly saveEvery?: number;
  /** Stops after the step that is running. */
  readonly signal?: AbortSignal;
}

const { lr: _lr, ...checksOfSteps } = stepChecks;

/** A check for every option of the loop but its schedule. */
export const loopChecks: Checks<Omit<TrainOptions, "schedule">> = {
  ...checksOfSteps,
  validation: record,
  evalEvery: whole,
  save: callable,
  saveEvery: whole,
  signal,
};

const scheduleChecks: Checks<Schedule> = { name: oneOf(scheduleNames), lr: amount, warmup: whole, steps: whole };

/** Throws `SESSION-OPTION`. */
function checkLoop(options: TrainOptions): void {
  checkOptions(options, { ...loopChecks, schedule: record }, "SESSION-OPTION");
  // Every field of a schedule is needed: one that is missing is a wrong value.
  const { name = null, lr = null, warmup = null, steps = null, ...others } = options.schedule as Partial<Schedule>;
  checkOptions({ name, lr, warmup, steps, ...others } as Schedule, scheduleChecks, "SESSION-OPTION");
}

/** Mean loss per counted label over an epoch of a stream. */
export async function validationLoss(
  session: Evaluated,
  stream: Pick<BatchStream, "step" | "stepsPerEpoch">,
): Promise<number> {
  let [sum, counted] = [0, 0];
  for (let step = 0; step < (stream.stepsPerEpoch ?? 1); step++) {
    for (const batch of stream.step(step)) {
      const { loss = 0, labels = 0 } = await session.forward(batch);
      sum += loss * labels;
      counted += labels;
    }
  }
  return sum / counted;
}

/** Lets the event loop turn: an executor may never wait for anything, so that no signal, timer or click would be heard in between. */
function turn(): Promise<void> {
  return new Promise((done) => setTimeout(done));
}

/**
 * Trains from the session's step to `schedule.steps`. `data` is copied, where it is one batch. Throws `SESSION-OPTION` and `DATA-BATCH` at
 * once; other calls may come between the steps.
 */
export function train(
  session: Trained & Evaluated,
  data: BatchStream | SessionBatch,
  options: TrainOptions,
): AsyncGenerator<TrainEvent> {
  checkLoop(options);
  const isStream = typeof data === "object" && data !== null && "step" in data;
  return events(session, isStream ? data : repeated(session, copiedBatch(data)), { ...options });
}

async function* events(
  session: Trained & Evaluated,
  stream: BatchStream,
  options: TrainOptions,
): AsyncGenerator<TrainEvent> {
  const { validation, evalEvery = 0, save, saveEvery = 0, schedule, signal } = options;
  for (;;) {
    if (signal?.aborted) {
      if (save !== undefined) {
        await save(session.steps);
        yield { type: "checkpoint", step: session.steps };
      }
      yield { type: "done", step: session.steps, status: "stopped" };
      return;
    }
    const event = await oneStep(session, stream, options);
    if (event === undefined) break;
    yield event;
    const done = event.step + 1;
    const due = (every: number): boolean => every > 0 && done % every === 0;
    await turn();
    if (validation !== undefined && due(evalEvery)) {
      yield { type: "eval", step: done, loss: await validationLoss(session, validation) };
    }
    if (save !== undefined && due(saveEvery) && done < schedule.steps) {
      await save(done);
      yield { type: "checkpoint", step: done };
    }
  }
  yield { type: "done", step: session.steps, status: "finished" };
}

/** One batch at every step. */
function repeated({ program }: Trained, batch: SessionBatch): BatchStream {
  return oneBatchStream(program.batch, program.length, batch as Omit<StreamBatch, "tokens">);
}

/** The next step, or undefined when the session has done them all. Which one it is shows when its turn comes. */
async function oneStep(
  session: Trained,
  stream: BatchStream,
  { schedule, weightDecay = 0, maxNorm = 0 }: TrainOptions,
): Promise<StepEvent | undefined> {
  let [lr, tokens, start] = [0, 0, 0];
  const result = await session.plannedStep((step) => {
    if (step >= schedule.steps) return undefined;
    lr = learningRate(schedule, step);
    start = performance.now();
    const batches = stream.step(step);
    tokens = batches.reduce((sum, batch) => sum + batch.tokens, 0);
    return copiedStep({ batch: batches, options: { lr, weightDecay, maxNorm } });
  });
  if (result === undefined) return undefined;
  const ms = performance.now() - start;
  const { step, loss, gradNorm } = result;
  return { type: "step", step, loss, lr, grad_norm: gradNorm, tokens, tokens_per_s: (1000 * tokens) / ms, ms };
}
