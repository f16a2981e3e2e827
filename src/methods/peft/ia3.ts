/** IA3: a learned vector scales the output of a layer, or its input where the layer is a feedforward one. arXiv 2205.05638. */
import { combineScales } from "../combine/ia3.ts";
import { withTargets } from "../config/profiles.ts";
import type { MethodRecord } from "../record.ts";

const qvd = ["q_proj", "v_proj", "down_proj"];

export const ia3 = {
  line: 10,
  text: `method ia3 on linear {
  W' = feedforward ? W @ scaled : diag(l) @ W;
  b' = feedforward ? b : flatten(l) .* b;
  let scaled = site.patches ? kron(diag(l), identity(in / channels)) : diag(l);   // a whole channel of a patch
  param l[feedforward ? 1 : out, feedforward ? channels : 1] = init_ia3_weights ? ones : normal(0, 1) at "ia3_l" as channels;
  let feedforward = site.ends_with(feedforward_modules);
  config feedforward_modules: any? = null "modules whose input is scaled; a list of endings or a regular expression",
         init_ia3_weights: bool = true "false: normal instead of ones";
  require feedforward_modules != null else "Please specify \`feedforward_modules\` in \`peft_config\`";
}`,
  profile: {
    className: "IA3Config",
    shared: [...withTargets, "exclude_modules", "fan_in_fan_out"],
    patches: true,
    sets: ["target_modules", "exclude_modules", "feedforward_modules"],
    subsets: {
      feedforward_modules: {
        llama: ["down_proj"],
        mistral: ["down_proj"],
        mixtral: ["w2"],
        qwen2: ["down_proj"],
        qwen3: ["down_proj"],
        gemma: ["down_proj"],
        gemma2: ["down_proj"],
        gemma3_text: ["down_proj"],
        opt: ["fc2"],
        gpt_neox: ["dense_4h_to_h"],
        falcon: ["dense_4h_to_h"],
        bloom: ["mlp.dense_4h_to_h"],
        gpt2: ["mlp.c_proj"],
        gpt_bigcode: ["mlp.c_proj"],
        "deberta-v2": ["output.dense"],
        bert: ["output.dense"],
        roberta: ["output.dense"],
        t5: ["wo"],
        mt5: [],
        phi: ["fc2"],
      },
    },
    compresses: false,
  },
  targets: {
    llama: ["k_proj", "v_proj", "down_proj"],
    mistral: ["k_proj", "v_proj", "down_proj"],
    mixtral: ["k_proj", "v_proj", "w2"],
    qwen2: qvd,
    qwen3: qvd,
    gemma: qvd,
    gemma2: qvd,
    gemma3_text: qvd,
    opt: ["q_proj", "k_proj", "fc2"],
    gpt_neox: ["query_key_value", "dense_4h_to_h"],
    falcon: ["query_key_value", "dense_4h_to_h"],
    bloom: ["query_key_value", "mlp.dense_4h_to_h"],
    gpt2: ["c_attn", "mlp.c_proj"],
    gpt_bigcode: ["c_attn", "mlp.c_proj"],
    "deberta-v2": ["key_proj", "value_proj", "output.dense"],
    bert: ["key", "value", "output.dense"],
    roberta: ["key", "value", "output.dense"],
    t5: ["k", "v", "wo"],
    mt5: ["k", "v", "wi_1"],
    phi: ["q_proj", "v_proj", "fc2"],
  },
  combine: combineScales,
} satisfies MethodRecord;
