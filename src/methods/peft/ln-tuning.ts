/** LN tuning: norms get gains and biases of their own. arXiv 2312.11420. */
import { lazyMethod } from "../dsl/method.ts";

export const lnTuning = lazyMethod(
  "ln_tuning",
  `method ln_tuning on norm {
  param scale[out] = gain at "ln_tuning_layers.weight" as base;
  param shift[out] = b at "ln_tuning_layers.bias" as base when site.has_bias;
  gain' = scale;
  b' = site.has_bias ? shift : b;
}`,
  "ln-tuning.ts",
);
