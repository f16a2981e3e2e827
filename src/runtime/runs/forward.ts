/** Forward passes: logits and loss, and the mean and spread of predictions over draws of the weights. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { MainStage } from "../../program/index.ts";
import { batchInputs, type SessionBatch } from "../data/batch.ts";
import { countedLabels } from "../data/labels.ts";
import type { RunInputs } from "../executors/executor.ts";
import type { RunningAdapter } from "../values/running.ts";
import { modelScalars, type RunContext } from "./inputs.ts";
import { checkResults } from "./non-finite.ts";

export interface ForwardResult {
  /** Of no numbers where the model has no head. */
  readonly logits: Float32Array;
  /** Of a model without a head: its last hidden states [batch, length, width], what its own pooler makes of them, and what they are pooled to [batch, width]. */
  readonly hidden?: Float32Array;
  readonly pooler_output?: Float32Array;
  readonly pooled?: Float32Array;
  /** The mean loss, and of how many labels it is; absent when none counts. */
  readonly loss?: number;
  readonly labels?: number;
}

/** Per logit, over the draws; the deviation has the divisor n - 1 and is 0 for one draw. */
export interface Prediction {
  readonly mean: Float32Array;
  readonly deviation: Float32Array;
}

/** Runs one stage. Throws `RESULT-NOT-FINITE`. */
async function checkedRun<Name extends string>(
  entry: RunningAdapter,
  stage: MainStage,
  inputs: RunInputs,
  want: readonly Name[],
): Promise<Readonly<Record<Name, Float32Array>>> {
  const results = await entry.instance.run([stage], inputs, want);
  await checkResults(entry.instance, { stages: [stage], inputs, want }, results);
  return results as Readonly<Record<Name, Float32Array>>;
}

/** What a model without a head gives, by the names of its graph's outputs. */
const headless = ["hidden", "pooler_output", "pooled"] as const;

/** The numbers that all others come from: logits, or hidden states where there is no head. */
export const mainNumbers = ({ hidden, logits }: ForwardResult): Float32Array => hidden ?? logits;

/** Logits of a batch, and the mean loss when labels count. Throws `DATA-*` and `RESULT-NOT-FINITE`. */
export async function forward(context: RunContext, entry: RunningAdapter, batch: SessionBatch): Promise<ForwardResult> {
  const tensors = batchInputs(entry.program, batch, context.programs);
  const labels = countedLabels(entry.program, batch, tensors);
  const scalars = modelScalars(entry, context.seed, { label_scale: labels === 0 ? 0 : 1 / labels });
  if (entry.program.model.defaults.head.kind === "none") {
    const { outputs } = entry.program.stages.find(({ name }) => name === "forward")!.graph;
    const given = headless.filter((name) => outputs.some((output) => output.name === name));
    return {
      logits: new Float32Array(),
      ...(await checkedRun(entry, "forward", { ...tensors, ...scalars }, given)),
    };
  }
  const { logits, loss } = await checkedRun(entry, "forward", { ...tensors, ...scalars }, ["logits", "loss"]);
  return labels === 0 ? { logits } : { logits, loss: loss[0]!, labels };
}

/** Passes of predictions are numbered from here; those of training lie below. */
const firstPass = 2 ** 31;

/** Accumulates the logits of `count` draws by Welford's rule. Throws `SESSION-DRAWS` for no draw. */
export async function predictive(
  context: RunContext,
  entry: RunningAdapter,
  batch: SessionBatch,
  count: number,
): Promise<Prediction> {
  const tensors = batchInputs(entry.program, batch, context.programs);
  if (!Number.isInteger(count) || count < 1 || count >= firstPass) {
    throw new WebpeftError("SESSION-DRAWS", {
      message: "predictions are drawn a whole number of times",
      expected: "at least 1",
      got: String(count),
    });
  }
  const name = entry.program.model.defaults.head.kind === "none" ? "hidden" : "logits";
  const drawn = async (inputs: RunInputs): Promise<Float32Array> =>
    (await checkedRun(entry, "predict", inputs, [name]))[name];
  let mean = new Float64Array();
  let squares = new Float64Array();
  for (let q = 0; q < count; q++) {
    const inputs = { ...tensors, ...modelScalars(entry, context.seed, { pass: firstPass + q }) };
    const logits = await drawn(inputs);
    if (q === 0) [mean, squares] = [new Float64Array(logits.length), new Float64Array(logits.length)];
    for (const [i, logit] of logits.entries()) {
      const gap = logit - mean[i]!;
      mean[i]! += gap / (q + 1);
      squares[i]! += gap * (logit - mean[i]!);
    }
  }
  const deviation = squares.map((sum) => (count === 1 ? 0 : Math.sqrt(sum / (count - 1))));
  return { mean: Float32Array.from(mean), deviation: Float32Array.from(deviation) };
}
