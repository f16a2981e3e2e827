/** The runs of one optimizer step on an instance. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { biasCorrections, statusFields } from "../../passes/optimizer.ts";
import type { CompiledProgram, StageName } from "../../program.ts";
import { batchInputs, copiedBatch, type SessionBatch } from "../data/batch.ts";
import { requireLabels } from "../data/labels.ts";
import type { RunInputs } from "../executors/executor.ts";
import type { AdapterEntry } from "../session/adapters.ts";
import { checkStep } from "../session/options.ts";
import type { PlannedStep, SessionParts, StepOptions, StepResult } from "../session/types.ts";
import { firstNonFinite, updateOverflow } from "./non-finite.ts";
import { runScalars } from "./scalars.ts";

export const hasStage = (program: CompiledProgram, stage: StageName): boolean =>
  program.stages.some((s) => s.name === stage);

/** The stages that make gradients of a batch with the parameters as they are, which projections are made of first. */
export const gradientStages = (program: CompiledProgram): readonly StageName[] =>
  hasStage(program, "project") ? ["project", "micro"] : ["micro"];

/** A step with its options checked and its batches copied. Throws `SESSION-OPTION` and `DATA-BATCH`. */
export function copiedStep({ batch, options }: PlannedStep): PlannedStep {
  checkStep(options);
  const batches = Array.isArray(batch) ? (batch as readonly SessionBatch[]) : [batch as SessionBatch];
  return { batch: batches.map(copiedBatch), options: { ...options } };
}

/**
 * One optimizer step on copied batches: forward, backward, clipping, AdamW. Throws `TRAIN-NOT-FINITE` when the loss, a gradient or a new
 * parameter is not finite; parameters and moments are then as before.
 */
export async function optimizerStep(
  { model, seed, adapters }: SessionParts,
  entry: AdapterEntry,
  { batch, options }: PlannedStep,
): Promise<StepResult> {
  const { program, step, instance } = entry;
  const batches = batch as readonly SessionBatch[];
  const inputs = batches.map((one) => batchInputs(program, one, adapters.programs));
  const { each, all: labels } = requireLabels(program, batches, inputs);
  const runs = inputs.map((input, i) => ({
    ...input,
    ...runScalars(entry, seed, i * program.batch, 1 / labels, each[i]! / labels),
    training: [1],
    pass: [step * batches.length + i],
  }));
  // Projections are made in place: the update keeps what they gave, not what was there before.
  const before = hasStage(program, "project") ? await instance.read("params") : undefined;
  const status = await runStep(entry, runs, options);
  const [loss, gradNorm] = [status[statusFields.loss]!, status[statusFields.gradNorm]!];
  if (status[statusFields.finite] !== 1) {
    const error =
      Number.isFinite(loss) && Number.isFinite(gradNorm)
        ? updateOverflow(step)
        : await firstNonFinite({ ...entry, model }, runs, step);
    if (before !== undefined) instance.write("params", before);
    throw error;
  }
  entry.step++;
  return { step, loss, gradNorm, labels };
}

/** Runs the micro-batches, adds their gradients and updates the parameters; gives the status block (`statusFields`). */
async function runStep(entry: AdapterEntry, runs: readonly RunInputs[], options: StepOptions): Promise<Float32Array> {
  const { program, instance } = entry;
  const first = gradientStages(program);
  const update = updateScalars(entry.step, options);
  if (!hasStage(program, "accumulate")) {
    if (runs.length !== 1) throw notAccumulating();
    return (await instance.run([...first, "update"], { ...runs[0], ...update }, ["status"])).status!;
  }
  for (const [i, run] of runs.entries()) {
    const stages: StageName[] = i === 0 ? [...first, "accumulate"] : ["micro", "accumulate"];
    await instance.run(stages, { ...run, first: [i === 0 ? 1 : 0] });
  }
  return (await instance.run(["update"], update, ["status"])).status!;
}

function updateScalars(step: number, { lr = 1e-3, weightDecay = 0, maxNorm = 0 }: StepOptions): RunInputs {
  const { bias1, bias2 } = biasCorrections(step);
  return { lr: [lr], bias1: [bias1], bias2: [bias2], weight_decay: [weightDecay], max_norm: [maxNorm] };
}

const notAccumulating = (): WebpeftError =>
  new WebpeftError("SESSION-MODE", {
    message: "the program was not compiled for gradient accumulation",
    help: "compile with { accumulate: true }",
  });
