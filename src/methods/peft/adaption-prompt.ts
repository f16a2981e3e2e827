/** LLaMA-Adapter: the last attentions look at a trained prompt too, through a gate that begins at 0. arXiv 2303.16199. */
import type { MethodRecord } from "../record.ts";

export const adaptionPrompt = {
  text: `method adaption_prompt on attention {
  // PEFT leaves GPT-2's output layer out
  context' = model_type == "gpt2" ? context : context + seen;
  output' = model_type == "gpt2" ? output + seen : output;
  let A = softmax(einsum("bsngd,pnd->bsngp", queries, K) / sqrt(out / key_heads)), seen = gate * einsum("bsngp,pnd->bsngd", A, V);
  let K = reshape(apply(Wk, P) + bk, heads), V = reshape(apply(Wv, P) + bv, heads);   // no positions
  let P = reshape(prompt, [adapter_len, in]), heads = [adapter_len, key_heads, out / key_heads];
  param prompt[1, adapter_len, in] = normal at "adaption_prompt" as base;
  param gate[1] = zeros at "adaption_gate" as base;
  config adapter_len: int? = null (minimum: 1) "tokens of the prompt", adapter_layers: int? = null (minimum: 1) "how many of the last layers have one";
  require not encoder_decoder else "Unsupported model type for adaption prompt: '{model_type}'.";
  require adapter_len != null else "adapter_len must be given.";
}`,
  profile: {
    className: "AdaptionPromptConfig",
    shared: ["target_modules"],
    targetIsName: true,
    lastHits: "adapter_layers",
    noTargets: "Unsupported model type for adaption prompt: '{model_type}'.",
  },
  targets: { llama: "self_attn", mistral: "self_attn", gpt2: "attn" },
} satisfies MethodRecord;
