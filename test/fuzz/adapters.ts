/** Configs of every method for the fuzzes' model. */

type Config = Readonly<Record<string, unknown>>;

interface Sound {
  readonly config: Config;
  /** Experts by name: other adapters of this list. */
  readonly experts?: Readonly<Record<string, string>>;
}

const targets = ["q_proj", "v_proj"];
const of = (peft_type: string, more: Config = {}): Sound => ({
  config: { peft_type, target_modules: targets, ...more },
});
const prompt = (peft_type: string, more: Config = {}): Sound => ({
  config: { peft_type, task_type: "CAUSAL_LM", num_virtual_tokens: 2, ...more },
});

export const adapters: Readonly<Record<string, Sound>> = {
  lora: of("LORA", { r: 2, lora_alpha: 4 }),
  saved: of("LORA", { r: 2, modules_to_save: ["lm_head"] }),
  embedding: of("LORA", { r: 2, target_modules: ["embed_tokens", "lm_head"] }),
  dora: of("LORA", { r: 2, use_dora: true }),
  oft: of("OFT", { oft_block_size: 8, r: 0 }),
  boft: of("BOFT", { boft_block_size: 4, boft_n_butterfly_factor: 2 }),
  ia3: of("IA3", { target_modules: ["k_proj", "down_proj"], feedforward_modules: ["down_proj"] }),
  vera: of("VERA", { r: 4 }),
  fourierft: of("FOURIERFT", { n_frequency: 8 }),
  loha: of("LOHA", { r: 2 }),
  lokr: of("LOKR", { r: 2 }),
  hra: of("HRA", { r: 2 }),
  "hra-gs": of("HRA", { r: 4, apply_GS: true }),
  miss: of("MISS", { r: 4 }),
  bat: of("MISS", { r: 4, init_weights: "bat" }),
  bone: of("BONE", { r: 4 }),
  randlora: of("RANDLORA", { r: 4 }),
  shira: of("SHIRA", { r: 2 }),
  vblora: of("VBLORA", { r: 2, num_vectors: 8, vector_length: 8, topk: 2 }),
  c3a: of("C3A", { block_size: 8 }),
  delora: of("DELORA", { r: 2 }),
  gralora: of("GRALORA", { r: 4, gralora_k: 2 }),
  road: of("ROAD", { group_size: 8 }),
  poly: of("POLY", { r: 2, n_tasks: 2, n_skills: 2 }),
  waveft: of("WAVEFT", { n_frequency: 8 }),
  hira: of("HIRA", { r: 2 }),
  adalora: of("ADALORA", { init_r: 2, total_step: 10 }),
  ln: of("LN_TUNING", { target_modules: ["input_layernorm"] }),
  tokens: of("TRAINABLE_TOKENS", { target_modules: ["embed_tokens"], token_indices: [0, 3] }),
  prompt: prompt("PROMPT_TUNING"),
  prefix: prompt("PREFIX_TUNING"),
  projection: prompt("PREFIX_TUNING", { prefix_projection: true, encoder_hidden_size: 8 }),
  "p-tuning": prompt("P_TUNING", { encoder_hidden_size: 8 }),
  "adaption-prompt": { config: { peft_type: "ADAPTION_PROMPT", adapter_len: 2, adapter_layers: 1 } },
  cpt: {
    config: {
      ...{ peft_type: "CPT", task_type: "CAUSAL_LM", cpt_token_ids: [5, 9], cpt_tokens_type_mask: [1, 2] },
      ...{ opt_weighted_loss_type: "decay" },
    },
  },
  xlora: {
    config: { peft_type: "XLORA", task_type: "CAUSAL_LM", adapters: { a: "a", b: "b" }, xlora_depth: 2, xlora_size: 4 },
    experts: { a: "lora", b: "lora" },
  },
};
