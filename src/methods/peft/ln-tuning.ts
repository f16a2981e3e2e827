/** LN tuning: norms get gains and biases of their own. arXiv 2312.11420. */
import { withTargets } from "../config/profiles.ts";
import type { MethodRecord } from "../record.ts";

const gemmaNorms = [
  ...["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm"],
  ...["post_feedforward_layernorm", "norm"],
];

export const lnTuning = {
  line: 12,
  text: `method ln_tuning on norm {
  gain' = scale;
  b' = site.has_bias ? shift : b;
  param scale[out] = gain at "ln_tuning_layers.weight" as base;
  param shift[out] = b at "ln_tuning_layers.bias" as base when site.has_bias;
}`,
  profile: { className: "LNTuningConfig", shared: [...withTargets, "exclude_modules"], anyModule: true },
  targets: {
    bloom: ["input_layernorm", "post_attention_layernorm", "ln_f"],
    gemma: ["input_layernorm", "post_attention_layernorm", "norm"],
    gemma2: gemmaNorms,
    gemma3_text: gemmaNorms,
    falcon: ["input_layernorm", "post_attention_layernorm", "ln_f"],
    llama: ["input_layernorm", "post_attention_layernorm", "norm"],
    mistral: ["input_layernorm", "post_attention_layernorm", "norm"],
    qwen2: ["post_attention_layernorm"],
    qwen3: ["post_attention_layernorm"],
    gpt2: ["ln_1", "ln_2", "ln_f"],
    t5: ["layer_norm", "final_layer_norm"],
    mt5: ["layer_norm", "final_layer_norm"],
    phi: ["input_layernorm", "final_layernorm"],
  },
} satisfies MethodRecord;
