/** IA3: a learned vector scales the output of a layer, or its input where the layer is a feedforward one. arXiv 2205.05638. */
import { lazyMethod } from "../dsl/method.ts";

export const ia3 = lazyMethod(
  "ia3",
  `method ia3 on linear {
  config feedforward_modules: any? = null "modules whose input is scaled; a list of endings or a regular expression",
         init_ia3_weights: bool = true "false: normal instead of ones";
  require feedforward_modules != null else "Please specify \`feedforward_modules\` in \`peft_config\`";
  let feedforward = site.ends_with(feedforward_modules);
  param l[feedforward ? 1 : out, feedforward ? channels : 1] = init_ia3_weights ? ones : normal(0, 1) at "ia3_l" as channels;
  let scaled = site.patches ? kron(diag(l), identity(in / channels)) : diag(l);   // a whole channel of a patch
  W' = feedforward ? W @ scaled : diag(l) @ W;
  b' = feedforward ? b : flatten(l) .* b;
}`,
  "ia3.ts",
);
