/** The benchmarks' llama of four layers with drawn weights, and the adapters whose cost is bounded. */
import { type CompileOptions, compile } from "../../src/compile.ts";
import type { Program } from "../../src/program-object.ts";
import { loadModel, type Model } from "../../src/runtime/files/model.ts";
import { generator } from "../runtime/executor-samples.ts";

export const sizes = { layers: 4, width: 128, heads: 4, hidden: 352, vocabulary: 512, batch: 2, length: 64 };

const targets = ["q_proj", "v_proj"];

export const adapters: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  lora: { peft_type: "LORA", r: 8, lora_alpha: 16, target_modules: targets },
  dora: { peft_type: "LORA", r: 8, lora_alpha: 16, use_dora: true, target_modules: targets },
  oft: { peft_type: "OFT", oft_block_size: 32, r: 0, target_modules: targets },
  boft: { peft_type: "BOFT", boft_block_size: 8, boft_n_butterfly_factor: 2, target_modules: targets },
  ia3: { peft_type: "IA3", target_modules: ["k_proj", "v_proj", "down_proj"], feedforward_modules: ["down_proj"] },
  vera: { peft_type: "VERA", r: 16, target_modules: targets },
  fourierft: { peft_type: "FOURIERFT", n_frequency: 64, target_modules: targets },
  loha: { peft_type: "LOHA", r: 4, target_modules: targets },
  lokr: { peft_type: "LOKR", r: 8, target_modules: targets },
  hra: { peft_type: "HRA", r: 8, target_modules: targets },
  miss: { peft_type: "MISS", r: 16, target_modules: targets },
  "miss-bat": { peft_type: "MISS", r: 16, init_weights: "bat", target_modules: targets },
  bone: { peft_type: "BONE", r: 16, target_modules: targets },
  randlora: { peft_type: "RANDLORA", r: 32, target_modules: targets },
  shira: { peft_type: "SHIRA", r: 8, target_modules: targets },
  vblora: { peft_type: "VBLORA", r: 4, num_vectors: 64, vector_length: 32, target_modules: targets },
  c3a: { peft_type: "C3A", block_size: 32, target_modules: targets },
  delora: { peft_type: "DELORA", r: 8, target_modules: targets },
  gralora: { peft_type: "GRALORA", r: 8, target_modules: targets },
  road: { peft_type: "ROAD", group_size: 64, target_modules: targets },
  poly: { peft_type: "POLY", r: 8, n_tasks: 2, n_skills: 4, target_modules: targets },
  waveft: { peft_type: "WAVEFT", n_frequency: 64, target_modules: targets },
  hira: { peft_type: "HIRA", r: 8, target_modules: targets },
  adalora: { peft_type: "ADALORA", init_r: 8, total_step: 100, target_modules: targets },
  "vblora-variational": { peft_type: "VBLORA", vb_r: 8, target_modules: targets },
  "ln-tuning": { peft_type: "LN_TUNING", target_modules: ["input_layernorm", "post_attention_layernorm"] },
  "trainable-tokens": {
    ...{ peft_type: "TRAINABLE_TOKENS", target_modules: ["embed_tokens"], token_indices: [0, 1, 2, 3, 4, 5, 6, 7] },
  },
  xlora: { peft_type: "XLORA", adapters: { "0": "0", "1": "1" }, xlora_depth: 2, xlora_size: 64 },
  "prompt-tuning": { peft_type: "PROMPT_TUNING", num_virtual_tokens: 8, task_type: "CAUSAL_LM" },
  "prefix-tuning": { peft_type: "PREFIX_TUNING", num_virtual_tokens: 8, task_type: "CAUSAL_LM" },
  "p-tuning": { peft_type: "P_TUNING", num_virtual_tokens: 8, task_type: "CAUSAL_LM" },
  "adaption-prompt": { peft_type: "ADAPTION_PROMPT", adapter_len: 8, adapter_layers: 2 },
  cpt: {
    ...{ peft_type: "CPT", task_type: "CAUSAL_LM", cpt_token_ids: [5, 9, 11, 40, 7, 2, 8, 3] },
    ...{ cpt_tokens_type_mask: [1, 2, 3, 4, 5, 6, 7, 8], opt_weighted_loss_type: "decay", opt_loss_decay_factor: 0.9 },
  },
};

/** What a config that mixes adapters finds. */
export const experts: Readonly<Record<string, Readonly<Record<string, unknown>>>> = Object.fromEntries(
  ["0", "1"].map((name) => [name, adapters.lora!]),
);

export async function llama(): Promise<Model> {
  const random = generator(7);
  const { width, hidden, vocabulary } = sizes;
  const weights: Record<string, { shape: number[]; data: Float32Array }> = {};
  const draw = (key: string, ...shape: number[]): void => {
    const scale = 1 / Math.sqrt(shape.at(-1)!);
    const value = (): number => (shape.length === 1 ? 1 : (2 * random() - 1) * scale);
    weights[key] = { shape, data: Float32Array.from({ length: shape.reduce((a, b) => a * b) }, value) };
  };
  draw("model.embed_tokens.weight", vocabulary, width);
  for (let layer = 0; layer < sizes.layers; layer++) {
    const at = `model.layers.${layer}`;
    for (const name of ["q", "k", "v", "o"]) draw(`${at}.self_attn.${name}_proj.weight`, width, width);
    for (const name of ["gate", "up"]) draw(`${at}.mlp.${name}_proj.weight`, hidden, width);
    draw(`${at}.mlp.down_proj.weight`, width, hidden);
    for (const name of ["input", "post_attention"]) draw(`${at}.${name}_layernorm.weight`, width);
  }
  draw("model.norm.weight", width);
  draw("lm_head.weight", vocabulary, width);
  const config = {
    model_type: "llama",
    hidden_size: width,
    num_hidden_layers: sizes.layers,
    num_attention_heads: sizes.heads,
    num_key_value_heads: sizes.heads,
    intermediate_size: hidden,
    vocab_size: vocabulary,
    max_position_embeddings: sizes.length,
    rms_norm_eps: 1e-5,
    hidden_act: "silu",
    tie_word_embeddings: false,
  };
  return loadModel({ config, weights });
}

export const compileAdapter = (model: Model, name: string, options: CompileOptions): Promise<Program> =>
  compile(model, adapters[name], { batch: sizes.batch, length: sizes.length, experts, ...options });

export interface Cost {
  readonly dispatches: number;
  readonly kernels: number;
  readonly peakBytes: number;
  readonly flops: number;
}

/** At how many layers a training step works on the activations, and at how many it folds the weight. */
export interface Association {
  readonly activation: number;
  readonly weight: number;
}

export function association({ timeline }: Program): Association {
  const notes = timeline.find(({ pass, stage }) => pass === "associate" && stage === "micro")?.notes ?? [];
  const count = (decision: string): number => notes.filter((note) => note.decision === decision).length;
  return { activation: count("activation"), weight: count("weight") };
}

/** What one training step costs by the plan: all that is not done once at start. */
export function stepCost({ plan }: Program): Cost {
  const dispatches = plan.stages
    .filter(({ name }) => name === "project" || name === "micro" || name === "update")
    .flatMap((stage) => stage.dispatches);
  return {
    dispatches: dispatches.length,
    kernels: new Set(dispatches.map(({ kernel }) => kernel)).size,
    peakBytes: plan.peakBytes,
    flops: dispatches.reduce((sum, dispatch) => sum + dispatch.flops, 0),
  };
}
