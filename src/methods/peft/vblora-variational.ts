/** LoRA with an approximate posterior, for VBLORA configs with `vb_*` fields: Gaussian factors (arXiv 1505.05424), components in or out (1611.00712). */
import type { Builder } from "../../ir/builder.ts";
import { everything, without } from "../config/profiles.ts";
import { absent, tensorValue } from "../dsl/value.ts";
import { type CallContext, makesTensor, makesValue, type ScalarIds } from "../lib/builtin.ts";
import { logisticNoise, normalNode, uniformNode } from "../lib/draws.ts";
import type { MethodRecord } from "../record.ts";

export const vbloraVariational = {
  file: "vblora-variational.ts",
  line: 13,
  calls: 15,
  text: `method vblora on linear {
  W' = W + s * drawn_normal(B, exp(B_log), vb_seed, 1) @ z @ drawn_normal(A, exp(A_log), vb_seed, 0) @ dropout(lora_dropout);
  loss' = loss + in_training(vb_beta / (vb_num_data == null ? latent : vb_num_data) * sum(KL, [0]));
  // Divergence of the posterior from the prior, per component.
  let KL = bits ? of_bits + gamma .* (of_A + of_B) : of_A + of_B;
  let of_bits = ln_gamma - gamma * ln(vb_pi) - (1 - gamma) .* (logit + ln(1 - vb_pi));
  // ln(1 - gamma) = ln(gamma) - logit
  let gamma = sigmoid(logit), ln_gamma = log(at_least(gamma, 1e-37));
  let of_B = sum((exp(2 * B_log) + B .* B) / (sB * sB) - 2 * B_log + (2 * ln(sB) - 1), [0]) / 2;
  let of_A = sum((exp(2 * A_log) + A .* A) / (sA * sA) - 2 * A_log + (2 * ln(sA) - 1), [1]) / 2;
  let z = bits ? diag(drawn_bits(logit, vb_temperature, vb_seed, 2)) : identity(k);
  param A[k, in] = uniform(-1 / sqrt(in), 1 / sqrt(in)) at "vblora_A_mean";
  param A_log[k, in] = fill(ln(vb_init_std * sA)) at "vblora_A_log_std";
  param B[out, k] = zeros at "vblora_B_mean";
  param B_log[out, k] = fill(ln(vb_init_std * sB)) at "vblora_B_log_std";
  param logit[k] = fill(ln(vb_pi / (1 - vb_pi))) at "vblora_inclusion_logit" when bits;
  let k = vb_r, s = lora_alpha / (use_rslora ? sqrt(k) : k), bits = vb_pi < 1;
  let sA = vb_prior_std / sqrt(in), sB = vb_prior_std / sqrt(k);
  let latent = k * (sites.total.in + sites.total.out + (bits ? sites.count : 0));
  config vb_r: int = 8 (minimum: 1) "rank of the update",
         vb_pi: float = 0.5 (above: 0, maximum: 1) "prior probability that a component is in; 1: all are",
         vb_beta: float = 1 (minimum: 0) "weight of the divergence from the prior in the loss",
         vb_prior_std: float = 1 (above: 0) "deviation of the prior, divided by the roots of the widths",
         vb_init_std: float = 0.01 (above: 0) "first deviation of the posterior, as a part of the prior's",
         vb_temperature: float = 0.5 (above: 0) "of the relaxed bits in training",
         vb_num_data: float? = null (above: 0) "what the divergence is divided by; null: the number of latent variables",
         vb_seed: int = 0 (minimum: 0, maximum: 4294967295) "seed of the draws",
         r: int? = null "vb_r, if it is given", lora_alpha: float = 8 "scale of the update, divided by vb_r",
         use_rslora: bool = false "divide lora_alpha by sqrt(vb_r)",
         lora_dropout: float = 0 (minimum: 0, maximum: 1) "dropout on the input of the update",
         use_dora: bool = false "not with this method", lora_bias: bool = false "not with this method",
         rank_pattern: any? = null "not with this method", alpha_pattern: any? = null "not with this method";
  require r == null or r == vb_r else "r ({r}) is not vb_r ({vb_r}).";
  require not (use_dora or lora_bias) else "use_dora and lora_bias are not supported with a posterior.";
  require (rank_pattern == null or rank_pattern == {}) and (alpha_pattern == null or alpha_pattern == {})
    else "rank_pattern and alpha_pattern are not supported with a posterior: vb_r is the rank of every module.";
  require false save "PEFT cannot use this file: it does not know the vb_* fields and would build a vector bank."
    help "webpeft convert --rank {vb_r} writes the posterior mean as a LoRA, which has the numbers of this adapter in evaluation.";
  require lora_dropout < 1 else "lora_dropout must be below 1.";
}`,
  profile: { className: "VBLoRAConfig", shared: without(everything, "init_weights"), checks: "a" },
  targets: {
    llama: ["q_proj", "v_proj"],
    qwen2: ["q_proj", "v_proj"],
    qwen3: ["q_proj", "v_proj"],
    gemma: ["q_proj", "v_proj"],
    gemma2: ["q_proj", "v_proj"],
    gemma3_text: ["q_proj", "v_proj"],
    opt: ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"],
    gpt_neox: ["query_key_value"],
    bloom: ["query_key_value"],
    "deberta-v2": ["query_proj", "key_proj", "value_proj", "dense"],
    gpt2: ["c_attn"],
    gpt_bigcode: ["c_attn"],
    bert: ["query", "value"],
    roberta: ["query", "value"],
    t5: ["q", "k", "v", "o", "wi", "wo"],
    mt5: ["q", "k", "v", "o", "wi_0", "wi_1", "wo"],
  },
  builtins: [
    makesTensor(
      "drawn_normal",
      { mean: "tensor", deviation: "tensor", seed: "number", stream: "number" },
      "In training and for predictions: normal numbers, drawn anew in every pass; otherwise their mean. stream keeps the draws of a site apart.",
      ({ mean, deviation, seed, stream }, b, context) => {
        if (!context.situation.sampling && context.situation.purpose !== "predict") return mean;
        const normal = normalNode(b, passScalars(b, context, seed), b.shape(mean), context.site, stream);
        return b.plus(mean, b.mul(deviation, normal));
      },
    ),
    makesTensor(
      "drawn_bits",
      { logits: "tensor", temperature: "number", seed: "number", stream: "number" },
      "Probabilities of bits from their logits; in training relaxed draws, for predictions 0 or 1, drawn anew in every pass.",
      ({ logits, temperature, seed, stream }, b, context) => {
        if (!context.situation.sampling && context.situation.purpose !== "predict") return b.add("sigmoid", [logits]);
        const u = uniformNode(b, passScalars(b, context, seed), b.shape(logits), context.site, stream);
        if (context.situation.purpose === "predict")
          return b.cast(b.compare("lt", u, b.add("sigmoid", [logits])), "f32");
        return b.add("sigmoid", [b.scale(b.plus(logits, logisticNoise(b, u)), 1 / temperature)]);
      },
    ),
    makesValue(
      "in_training",
      { x: "tensor" },
      "What is added to the loss of training steps only: not in evaluation, and not where gradients are looked at outside of a step.",
      ({ x }, context) =>
        context.situation.purpose === "train"
          ? tensorValue(context.builder().mul(x, context.scalars().training))
          : absent,
    ),
  ],
} satisfies MethodRecord;

/** Draws of pass t under a seed of the config: the same on every device and after a resume. */
function passScalars(
  b: Builder,
  context: CallContext,
  seed: number,
): Pick<ScalarIds, "seed" | "step" | "sampleOffset"> {
  const constant = (x: number): number => b.constant(x, [], "u32");
  return { seed: constant(seed), step: context.scalars().pass, sampleOffset: constant(0) };
}
