/** Runs that make gradients: one optimizer step, or the gradients alone. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { type Fed, feed } from "../../ir/run-inputs.ts";
import { biasCorrections, statusFields } from "../../passes/optimizer.ts";
import { totalOf } from "../../passes/storage.ts";
import type { CompiledProgram, StageName } from "../../program/index.ts";
import { batchInputs, copiedBatch, type SessionBatch } from "../data/batch.ts";
import { requireLabels } from "../data/labels.ts";
import type { RunInputs } from "../executors/executor.ts";
import { amount, type Checks, checkOptions } from "../options.ts";
import { fromProgram } from "../values/rank-padding.ts";
import { type RunningAdapter, trainedTensors } from "../values/running.ts";
import { hasStage, modelScalars, type RunContext } from "./inputs.ts";
import { checkResults, firstNonFinite, type RunAgain } from "./non-finite.ts";
import { updateOverflow } from "./update-overflow.ts";

export interface StepOptions {
  readonly lr?: number;
  readonly weightDecay?: number;
  /** Gradients are scaled down to this global norm; 0 switches clipping off. */
  readonly maxNorm?: number;
}

export interface StepResult {
  readonly step: number;
  readonly loss: number;
  /** Global norm of the gradient before clipping. */
  readonly gradNorm: number;
  /** Labels that counted. */
  readonly labels: number;
}

/** A batch, or the micro-batches of a step, with the step's options. */
export interface PlannedStep {
  readonly batch: SessionBatch | readonly SessionBatch[];
  readonly options: StepOptions;
}

/** A check for every option of a step; an option of the loop is one too. */
export const stepChecks: Checks<StepOptions> = { lr: amount, weightDecay: amount, maxNorm: amount };

const present = (program: CompiledProgram, ...stages: readonly StageName[]): StageName[] =>
  stages.filter((stage) => hasStage(program, stage));

/** A step with its options checked and its batches copied. Throws `SESSION-OPTION` and `DATA-BATCH`. */
export function copiedStep({ batch, options }: PlannedStep): PlannedStep {
  checkOptions(options, stepChecks, "SESSION-OPTION");
  const batches = Array.isArray(batch) ? (batch as readonly SessionBatch[]) : [batch as SessionBatch];
  return { batch: batches.map(copiedBatch), options: { ...options } };
}

/**
 * One optimizer step on copied batches: forward, backward, clipping, AdamW. Throws `TRAIN-NOT-FINITE` when the loss, a gradient or a new
 * parameter is not finite; parameters and moments are then as before.
 */
export async function optimizerStep(
  { seed, programs }: RunContext,
  entry: RunningAdapter,
  { batch, options }: PlannedStep,
): Promise<StepResult> {
  const { program, step, instance } = entry;
  const batches = batch as readonly SessionBatch[];
  const inputs = batches.map((one) => batchInputs(program, one, programs));
  const { each, all: labels } = requireLabels(program, batches, inputs);
  const runs = inputs.map((input, i) => ({
    ...input,
    ...modelScalars(entry, seed, {
      sample_offset: i * program.batch,
      pass: step * batches.length + i,
      training: 1,
      label_scale: 1 / labels,
      loss_share: each[i]! / labels,
    }),
  }));
  // Projections are made in place: the update keeps what they gave, not what was there before.
  const before = hasStage(program, "project") ? await instance.read("params") : undefined;
  const all = runsOfStep(entry, runs, options);
  const status = await statusOf(entry, all);
  const [loss, gradNorm] = [status[statusFields.loss]!, status[statusFields.gradNorm]!];
  if (status[statusFields.finite] !== 1) {
    const isOfUpdate = Number.isFinite(loss) && Number.isFinite(gradNorm);
    // What the update read is looked at while it is there.
    const overflow = isOfUpdate ? await updateOverflow(program, instance, all.at(-1)!, step) : undefined;
    if (before !== undefined) instance.write("params", before);
    throw overflow ?? (await firstNonFinite(instance, all, step));
  }
  entry.step++;
  return { step, loss, gradNorm, labels };
}

/** What an instance does in a step: the micro-batches, one after the other, and the update. */
function runsOfStep({ program, step }: RunningAdapter, runs: readonly RunInputs[], options: StepOptions): RunAgain[] {
  const update = updateScalars(step, options);
  const [start, end] = [present(program, "project"), present(program, "parameters_backward", "update")];
  if (!hasStage(program, "accumulate")) {
    if (runs.length !== 1) throw notAccumulating();
    return [{ stages: [...start, "micro", ...end], inputs: { ...runs[0], ...update } }];
  }
  const added = runs.map(
    (run, i): RunAgain => ({
      stages: [...(i === 0 ? start : []), "micro", "accumulate"],
      inputs: { ...run, ...feed(accumulation(i)) },
    }),
  );
  return [...added, { stages: end, inputs: update }];
}

/** Makes the runs of a step; gives the status block (`statusFields`). */
async function statusOf({ instance }: RunningAdapter, runs: readonly RunAgain[]): Promise<Float32Array> {
  for (const { stages, inputs } of runs.slice(0, -1)) await instance.run(stages, inputs);
  const { stages, inputs } = runs.at(-1)!;
  return (await instance.run(stages, inputs, ["status"])).status!;
}

const accumulation = (place: number): Fed<"accumulate"> => ({ first: place === 0 ? 1 : 0 });

function updateScalars(step: number, { lr = 1e-3, weightDecay = 0, maxNorm = 0 }: StepOptions): RunInputs {
  const numbers: Fed<"update"> = { lr, ...biasCorrections(step), weight_decay: weightDecay, max_norm: maxNorm };
  return feed(numbers);
}

const notAccumulating = (): WebpeftError =>
  new WebpeftError("SESSION-MODE", {
    message: "the program was not compiled for gradient accumulation",
    help: "compile with { accumulate: true }",
  });

/** The mean loss of a batch and its gradients by checkpoint key; parameters are left as they are. Throws `RESULT-NOT-FINITE`. */
export async function gradientsOf(
  { seed, programs }: RunContext,
  entry: RunningAdapter,
  batch: SessionBatch,
): Promise<{ loss: number; gradients: Record<string, Float32Array> }> {
  const { program, instance } = entry;
  const tensors = batchInputs(program, batch, programs);
  const { all: counted } = requireLabels(program, [batch], [tensors]);
  const scalars = modelScalars(entry, seed, { label_scale: 1 / counted });
  const inputs = { ...tensors, ...scalars, ...feed(accumulation(0)) };
  const keys = trainedTensors(program).map((tensor) => tensor.key);
  const before = hasStage(program, "project") ? await instance.read("params") : undefined;
  // The backward pass through values of parameters alone is one through sums, where there are sums.
  const sums = hasStage(program, "accumulate") && hasStage(program, "parameters_backward");
  const nameOf = (key: string): string => (sums ? totalOf(`grad.${key}`) : `grad.${key}`);
  const stages = present(program, "project", "micro", ...(sums ? ["accumulate" as const] : []), "parameters_backward");
  const want = ["loss", ...keys.map(nameOf)];
  const restore = (): void => before && instance.write("params", before);
  const { loss, ...made } = await instance.run(stages, inputs, want).finally(restore);
  const results = Object.fromEntries(keys.map((key) => [`grad.${key}`, made[nameOf(key)]!]));
  await checkResults(instance, { stages, inputs, want }, { loss: loss!, ...results }).finally(restore);
  return {
    loss: loss![0]!,
    gradients: Object.fromEntries(keys.map((key) => [key, fromProgram(program.adapter, key, results[`grad.${key}`]!)])),
  };
}
