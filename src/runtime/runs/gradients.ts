/** Gradients without a step. */

import { batchInputs, type SessionBatch } from "../data/batch.ts";
import { requireLabels } from "../data/labels.ts";
import { fromProgram } from "../values/rank-padding.ts";
import { type RunningAdapter, trainedTensors } from "../values/running.ts";
import { hasStage, modelScalars, type RunContext } from "./inputs.ts";
import { checkResults } from "./non-finite.ts";
import { gradientStages } from "./step.ts";

/** The mean loss of a batch and its gradients by checkpoint key; parameters are left as they are. Throws `RESULT-NOT-FINITE`. */
export async function gradientsOf(
  { seed, programs, model }: RunContext,
  entry: RunningAdapter,
  batch: SessionBatch,
): Promise<{ loss: number; gradients: Record<string, Float32Array> }> {
  const { program, instance } = entry;
  const tensors = batchInputs(program, batch, programs);
  const { all: counted } = requireLabels(program, [batch], [tensors]);
  const inputs = { ...tensors, ...modelScalars(entry, seed, { label_scale: 1 / counted }) };
  const keys = trainedTensors(program).map((tensor) => tensor.key);
  const before = hasStage(program, "project") ? await instance.read("params") : undefined;
  const results = await instance
    .run(gradientStages(program), inputs, ["loss", ...keys.map((key) => `grad.${key}`)])
    .finally(() => before !== undefined && instance.write("params", before));
  await checkResults({ ...entry, model }, "micro", inputs, results);
  return {
    loss: results.loss![0]!,
    gradients: Object.fromEntries(keys.map((key) => [key, fromProgram(program.adapter, key, results[`grad.${key}`]!)])),
  };
}
