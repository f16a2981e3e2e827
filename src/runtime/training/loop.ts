/** The training loop: steps, evaluation and checkpoints as a stream of events. Breaking out of it leaves a usable session. */
import { type BatchStream, oneBatchStream } from "../data/dataset.ts";
import type { Session, SessionBatch, StepOptions } from "../session.ts";
import { learningRate, type Schedule } from "./schedule.ts";

export interface StepEvent {
  readonly type: "step";
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

export interface EvalEvent {
  readonly type: "eval";
  /** Steps done. */
  readonly step: number;
  readonly loss: number;
}

export interface CheckpointEvent {
  readonly type: "checkpoint";
  readonly step: number;
}

export interface DoneEvent {
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

/** Mean loss per counted label over an epoch of a stream. */
export async function validationLoss(
  session: Session,
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

/** Lets the event loop turn. A CPU executor never waits for anything, so that no signal, timer or click would be heard in between. */
function turn(): Promise<void> {
  return new Promise((done) => setTimeout(done));
}

/** Trains from the session's step to `schedule.steps`. */
export async function* train(
  session: Session,
  data: BatchStream | SessionBatch,
  options: TrainOptions,
): AsyncGenerator<TrainEvent> {
  const stream = "step" in data ? data : repeated(session, data);
  const { schedule, validation, evalEvery = 0, save, saveEvery = 0, signal } = options;
  const due = (every: number): boolean => every > 0 && session.steps % every === 0;
  while (session.steps < schedule.steps) {
    if (signal?.aborted) {
      if (save !== undefined) {
        await save(session.steps);
        yield { type: "checkpoint", step: session.steps };
      }
      yield { type: "done", step: session.steps, status: "stopped" };
      return;
    }
    yield await oneStep(session, stream, options);
    await turn();
    if (validation !== undefined && due(evalEvery)) {
      yield { type: "eval", step: session.steps, loss: await validationLoss(session, validation) };
    }
    if (save !== undefined && due(saveEvery) && session.steps < schedule.steps) {
      await save(session.steps);
      yield { type: "checkpoint", step: session.steps };
    }
  }
  yield { type: "done", step: session.steps, status: "finished" };
}

/** One batch at every step. */
function repeated({ program }: Session, batch: SessionBatch): BatchStream {
  const { input_ids, labels = [], attention_mask, token_type_ids, task_ids, input_type_mask, pixel_values } = batch;
  const tensors = {
    labels: Int32Array.from(labels),
    ...(input_ids && { input_ids: Int32Array.from(input_ids) }),
    ...(pixel_values && { pixel_values: Float32Array.from(pixel_values) }),
    ...(attention_mask && { attention_mask: Int32Array.from(attention_mask) }),
    ...(token_type_ids && { token_type_ids: Int32Array.from(token_type_ids) }),
    ...(task_ids && { task_ids: Int32Array.from(task_ids) }),
    ...(input_type_mask && { input_type_mask: Int32Array.from(input_type_mask) }),
  };
  return oneBatchStream(program.batch, program.length, tensors);
}

async function oneStep(session: Session, stream: BatchStream, options: TrainOptions): Promise<StepEvent> {
  const step = session.steps;
  const lr = learningRate(options.schedule, step);
  const start = performance.now();
  const batches = stream.step(step);
  const { loss, gradNorm } = await session.step(batches, { ...options, lr });
  const ms = performance.now() - start;
  const tokens = batches.reduce((sum, batch) => sum + batch.tokens, 0);
  return { type: "step", step, loss, lr, grad_norm: gradNorm, tokens, tokens_per_s: (1000 * tokens) / ms, ms };
}
