/** LoRA with rsLoRA and DoRA. arXiv 2106.09685, 2312.03732, 2402.09353. */
import { lazyMethod } from "./dsl/method.ts";

export const lora = lazyMethod(
  "lora",
  `method lora on linear {
  config r: int = 8 (above: 0, pattern: rank_pattern) "rank of the update",
         lora_alpha: float = 8 (pattern: alpha_pattern) "scale of the update, divided by r",
         lora_dropout: float = 0 (minimum: 0, maximum: 1) "dropout on the input of the update",
         use_rslora: bool = false "divide lora_alpha by sqrt(r)",
         use_dora: bool = false "train the norms of the rows apart from their directions",
         lora_bias: bool = false "a trained bias on B",
         init_lora_weights: any = true "false: B is random too",
         rank_pattern: int_map = {}, alpha_pattern: float_map = {};
  require not (lora_bias and use_dora) else "The argument lora_bias=True is not supported together with DoRA.";
  require init_lora_weights == true or init_lora_weights == false or init_lora_weights == "gaussian"
    else "init_lora_weights = {init_lora_weights} is not supported: it changes the base weight or needs data."
    help "Use true, false or \\"gaussian\\".";
  require lora_dropout < 1 else "lora_dropout must be below 1.";
  param A[r, in] = init_lora_weights == "gaussian" ? normal(0, 1 / r) : kaiming_uniform at "lora_A.weight";
  param B[out, r] = init_lora_weights == false ? kaiming_uniform : zeros at "lora_B.weight";
  param beta[out] = init_lora_weights == false ? uniform(-1 / sqrt(r), 1 / sqrt(r)) : zeros at "lora_B.bias" when lora_bias;
  param magnitude[out] = rownorm(V) at "lora_magnitude_vector" when use_dora;
  let s = lora_alpha / (use_rslora ? sqrt(r) : r);
  let V = W0 + s * B @ A, drop = dropout(lora_dropout);
  W' = use_dora ? W + (diag(magnitude / stop_gradient(rownorm(V))) @ V - W0) @ drop : W + s * B @ A @ drop;
  b' = lora_bias ? b + s * beta : b;
}`,
  "lora.ts",
);
