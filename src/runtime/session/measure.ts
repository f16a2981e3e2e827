/** What every dispatch of a step takes on a device: seeded data through a session, and medians. */
import { type Dispatch, isForProcessors, type Plan, type Target } from "../../codegen/index.ts";
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { CompiledProgram } from "../../program/index.ts";
import type { Measurement } from "../../program/measurement.ts";
import { drawnBatch, drawnModel } from "../data/drawn.ts";
import type { KernelTime, Measures } from "../executors/executor.ts";
import { peakOf } from "../executors/peak.ts";
import { type Checks, callable, checkOptions, count, record, seed, signal, whole } from "../options.ts";
import { type ChosenExecutor, chooseExecutor } from "./executor-choice.ts";
import type { Session } from "./session.ts";
import { deviceCheck, type SessionSource, type StartOptions, startSession } from "./start.ts";

/** How a program is run on data that is drawn. */
export interface DrawnOptions extends Pick<StartOptions, "device" | "signal" | "experts"> {
  /** Of weights that are drawn in the place of the model's, of a fresh adapter, and of the batch; 0 unless given. */
  readonly seed?: number;
  /** Takes the kernels that are there; from the program. */
  readonly generated?: StartOptions["generated"];
}

export interface MeasureOptions extends DrawnOptions {
  /** Runs before those that count; 2 unless given. */
  readonly warmUps?: number;
  /** Runs that count; 5 unless given. */
  readonly runs?: number;
}

export const drawnChecks: Checks<DrawnOptions> = {
  device: deviceCheck,
  seed,
  signal,
  experts: record,
  generated: callable,
};

const checks: Checks<MeasureOptions> = { ...drawnChecks, warmUps: whole, runs: count };

/** A program with its plan. */
export type PlannedProgram = CompiledProgram & { readonly target: Target; readonly plan: Plan };

const refused = (message: string, help: string, more: { expected?: string; got?: string } = {}): WebpeftError =>
  new WebpeftError("MEASURE-DEVICE", { message, help, ...more });

/** Throws `MEASURE-DEVICE` where a device runs no kernels, or not those of the program. */
export function checkDevice({ target, mode }: PlannedProgram, { executor }: ChosenExecutor): void {
  if (mode === "merge")
    throw refused("merging is not measured: every tensor is a program of its own", "measure train or infer");
  if (executor.clock === undefined || executor.target === undefined)
    throw refused("the device tells no times of kernels", "measure on WebGPU or on the CPU", {
      got: executor.description,
    });
  const isSame = JSON.stringify(executor.target) === JSON.stringify(target);
  if (!isSame || isForProcessors(target) !== (executor.clock === "processor"))
    throw refused(
      "the program was compiled for another target than that of the device",
      "compile it for the device: targetOf(device.target), or wasmTargetHere() for the CPU; of the command, leave out --target",
      { got: executor.description },
    );
}

const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;

/**
 * The median of some steps (of forward passes, where the program does not train) after warm-ups, per dispatch, and of as many that nothing
 * measures, in turns. Weights are drawn: what they are makes no run faster. The learning rate is 0, so that every step does the same.
 * Throws `MEASURE-DEVICE`, `SESSION-OPTION` and what a session throws.
 */
export async function measureProgram(
  program: PlannedProgram,
  source: SessionSource,
  options: MeasureOptions = {},
): Promise<Measurement> {
  checkOptions(options, checks, "SESSION-OPTION");
  const { seed: from = 0, warmUps = 2, runs = 5, device = "auto", ...more } = options;
  const chosen = await chooseExecutor(device, { signal: more.signal, target: program.target });
  try {
    checkDevice(program, chosen);
    const { executor } = chosen;
    const recorder = new Recorder();
    const session = await startSession(
      program,
      { ...source, model: drawnModel(source.model, from) },
      { ...more, device: executor, seed: from, onKernels: recorder.add, measures: () => recorder.measures },
    );
    try {
      const batch = drawnBatch(program, from);
      const wholeMs = await recorder.record(session, batch, { warmUps, runs });
      const stages = program.plan.stages.map(({ name, dispatches }) => ({
        name,
        dispatchMs: dispatches.map(recorder.of),
      }));
      if (stages.every(({ dispatchMs }) => dispatchMs.every((ms) => ms === null)))
        throw refused(
          "the device told no times of kernels",
          "measure where the calling thread may wait: in Node, or in a worker",
        );
      const peak = await peakOf(executor);
      return { device: executor.description, clock: executor.clock!, seed: from, warmUps, runs, wholeMs, stages, peak };
    } finally {
      session.dispose();
    }
  } finally {
    chosen.release();
  }
}

/** Runs that are measured and runs that are not, in turns, so that what else the machine does slows both alike. */
class Recorder {
  measures: Measures = "none";
  private current = new Map<Dispatch, number>();
  private readonly measured: ReadonlyMap<Dispatch, number>[] = [];

  /** A dispatch may run more than once in a step. */
  readonly add = (times: readonly KernelTime[]): void => {
    for (const { dispatch, nanoseconds } of times)
      this.current.set(dispatch, (this.current.get(dispatch) ?? 0) + nanoseconds / 1e6);
  };

  /** Gives the milliseconds of the runs that nothing measured. */
  async record(
    session: Session,
    batch: Parameters<Session["forward"]>[0],
    { warmUps, runs }: Required<Pick<MeasureOptions, "warmUps" | "runs">>,
  ): Promise<number> {
    const run = () => (session.program.mode === "train" ? session.step(batch, { lr: 0 }) : session.forward(batch));
    const wholes: number[] = [];
    for (let turn = 0; turn < warmUps + runs; turn++) {
      this.measures = "none";
      const began = performance.now();
      await run();
      const took = performance.now() - began;
      this.measures = "all";
      this.current = new Map();
      await run();
      if (turn < warmUps) continue;
      wholes.push(took);
      this.measured.push(this.current);
    }
    return median(wholes);
  }

  /** The median of a dispatch; null where it did not run. */
  readonly of = (dispatch: Dispatch): number | null => {
    const times = this.measured.flatMap((run) => run.get(dispatch) ?? []);
    return times.length === 0 ? null : median(times);
  };
}
