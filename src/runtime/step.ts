/** The runs of one optimizer step on an instance. */
import { WebpeftError } from "../ir/diagnostics.ts";
import { biasCorrections } from "../passes/optimizer.ts";
import type { CompiledProgram, StageName } from "../program.ts";
import type { AdapterEntry } from "./adapters.ts";
import type { RunInputs } from "./executor.ts";
import type { StepOptions } from "./session.ts";

export const hasStage = (program: CompiledProgram, stage: StageName): boolean =>
  program.stages.some((s) => s.name === stage);

/** Runs the micro-batches, adds their gradients and updates the parameters; gives the status block (`statusFields`). */
export async function runStep(
  entry: AdapterEntry,
  runs: readonly RunInputs[],
  options: StepOptions,
): Promise<Float32Array> {
  const { program, instance } = entry;
  const first: StageName[] = hasStage(program, "project") ? ["project", "micro"] : ["micro"];
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
