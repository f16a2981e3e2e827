/** Mean and spread of predictions over draws of the weights. */
import { WebpeftError } from "../../ir/diagnostics.ts";

/** Per logit, over the draws; the deviation has the divisor n - 1 and is 0 for one draw. */
export interface Prediction {
  readonly mean: Float32Array;
  readonly deviation: Float32Array;
}

/** Passes of predictions are numbered from here; those of training lie below. */
const firstPass = 2 ** 31;

/** Accumulates the logits of `count` passes by Welford's rule. Throws `SESSION-DRAWS` for no draw. */
export async function predictive(
  count: number,
  logitsOf: (pass: number) => Promise<Float32Array>,
): Promise<Prediction> {
  if (!Number.isInteger(count) || count < 1 || count >= firstPass) {
    throw new WebpeftError("SESSION-DRAWS", {
      message: "predictions are drawn a whole number of times",
      expected: "at least 1",
      got: String(count),
    });
  }
  let mean = new Float64Array();
  let squares = new Float64Array();
  for (let q = 0; q < count; q++) {
    const logits = await logitsOf(firstPass + q);
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
