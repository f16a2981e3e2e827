/**
 * What surrounds each of PEFT's methods in its config class: shared fields, checks, default targets. What a method
 * computes, and its own fields, are in its fragment. Source: the config classes and tuner models of PEFT 0.21.2.
 */
import type { FieldValue } from "../fields.ts";
import type { SharedField } from "./common.ts";
import type { TargetTable } from "./defaults.ts";

export interface MethodProfile {
  /** PEFT's name of the config class, as its messages have it. */
  readonly className: string;
  readonly shared: readonly SharedField[];
  /** Which of the recurring checks a (pattern needs layers), b and c (no layers with a regex) apply. */
  readonly checks: string;
  readonly table: TargetTable;
  /** Fields whose lists are sets: written sorted. */
  readonly sets: readonly string[];
  /** Lists of 20 or more targets are compressed. */
  readonly compresses: boolean;
  /** A string in `target_modules` is one name and no regular expression. */
  readonly targetIsName: boolean;
  /** Any kind of module can be adapted. */
  readonly anyModule: boolean;
  /** PEFT adapts `Linear` only, so a file with a `Conv1D` target is ours alone. */
  readonly linearOnly: boolean;
  /** What PEFT does with a `Conv2d` is what the fragment does with a layer on patches. */
  readonly patches: boolean;
  /** A name in a pattern needs a dot before it, or is the whole path of a module. */
  readonly dottedPatterns: boolean;
  /** The field that says how many of the hits, from the last, are adapted. */
  readonly lastHits?: string;
  /** Fields about the base model (`num_layers` ...) are filled in: for its embeddings or, of prefixes, for its keys. */
  readonly modelFacts?: "embeddings" | "keys";
  /**
   * With `ensure_weight_tying`, an output embedding that is adapted shares the input embedding's tensors: names of that one's by names of its
   * own, of which they are the transposes.
   */
  readonly tied?: Readonly<Record<string, string>>;
  /** The name in "No layers types compatible with ... were found", for methods that look for layers first. */
  readonly compatibleName?: string;
  /** PEFT's fields that only matter when they differ from these values, which then is refused unless the method declares them. */
  readonly passive: Readonly<Record<string, FieldValue>>;
  /** PEFT's fields that have no effect on what a method computes here, with their defaults; any value is kept. */
  readonly inert: Readonly<Record<string, FieldValue>>;
}

const withTargets: readonly SharedField[] = ["target_modules", "modules_to_save"];
const withLayers: readonly SharedField[] = [...withTargets, "layers_to_transform", "layers_pattern"];
const usual: readonly SharedField[] = [...withLayers, "exclude_modules", "bias", "init_weights"];
const everything: readonly SharedField[] = [...usual, "fan_in_fan_out"];
const without = (fields: readonly SharedField[], ...names: SharedField[]): SharedField[] =>
  fields.filter((field) => !names.includes(field));

const standard: MethodProfile = {
  className: "PeftConfig",
  shared: everything,
  checks: "",
  table: "base",
  sets: ["target_modules", "exclude_modules"],
  compresses: true,
  targetIsName: false,
  anyModule: false,
  linearOnly: false,
  patches: false,
  dottedPatterns: false,
  passive: {},
  inert: {},
};

const loraShared: readonly SharedField[] = [...without(everything, "init_weights"), "ensure_weight_tying"];

const loraPassive: Readonly<Record<string, FieldValue>> = {
  alora_invocation_tokens: null,
  arrow_config: null,
  kasa_config: null,
  layer_replication: null,
  lora_bias: false,
  megatron_config: null,
  monteclora_config: null,
  target_parameters: null,
  trainable_token_indices: null,
  use_bdlora: null,
  use_qalora: false,
  velora_config: null,
};

const loraInert: Readonly<Record<string, FieldValue>> = {
  corda_config: null,
  eva_config: null,
  lora_ga_config: null,
  loftq_config: {},
  megatron_core: "megatron.core",
  qalora_group_size: 16,
};

const promptShared: readonly SharedField[] = ["modules_to_save"];

const own: Readonly<Record<string, Partial<MethodProfile>>> = {
  LORA: {
    className: "LoraConfig",
    shared: loraShared,
    tied: { "lora_A.weight": "lora_embedding_B", "lora_B.weight": "lora_embedding_A" },
    checks: "abc",
    patches: true,
    passive: loraPassive,
    inert: loraInert,
  },
  ADALORA: {
    className: "AdaLoraConfig",
    shared: loraShared,
    checks: "ab",
    table: "adalora",
    passive: loraPassive,
    inert: { ...loraInert, use_rslora: false, alpha_pattern: {} },
  },
  OFT: { className: "OFTConfig", checks: "a", linearOnly: true, patches: true },
  BOFT: { className: "BOFTConfig", checks: "a", linearOnly: true, patches: true },
  IA3: {
    className: "IA3Config",
    shared: [...withTargets, "exclude_modules", "fan_in_fan_out"],
    table: "ia3",
    patches: true,
    sets: ["target_modules", "exclude_modules", "feedforward_modules"],
    compresses: false,
  },
  VERA: {
    className: "VeraConfig",
    shared: without(everything, "exclude_modules"),
    checks: "a",
    table: "vera",
    compatibleName: "VeRA",
  },
  FOURIERFT: { className: "FourierFTConfig", checks: "abc", table: "fourier", dottedPatterns: true },
  POLY: { className: "PolyConfig", shared: [...withTargets, "exclude_modules", "init_weights"], linearOnly: true },
  LN_TUNING: {
    className: "LNTuningConfig",
    shared: [...withTargets, "exclude_modules"],
    table: "norms",
    anyModule: true,
  },
  XLORA: { className: "XLoraConfig", shared: [], table: "none" },
  BONE: { className: "BoneConfig", shared: usual, checks: "bc", linearOnly: true },
  MISS: { className: "MissConfig", shared: usual, checks: "bc", linearOnly: true },
  VBLORA: { className: "VBLoRAConfig", shared: without(everything, "init_weights"), checks: "a", table: "vblora" },
  HRA: { className: "HRAConfig", shared: usual, checks: "abc", linearOnly: true, patches: true },
  RANDLORA: {
    className: "RandLoraConfig",
    shared: without(everything, "exclude_modules"),
    compatibleName: "RandLora",
  },
  SHIRA: {
    className: "ShiraConfig",
    shared: [...withTargets, "fan_in_fan_out", "init_weights"],
    table: "vera",
    linearOnly: true,
  },
  C3A: {
    className: "C3AConfig",
    shared: without(usual, "exclude_modules"),
    checks: "bc",
    table: "fourier",
    linearOnly: true,
    dottedPatterns: true,
  },
  CPT: { className: "CPTConfig", shared: promptShared, table: "none", modelFacts: "embeddings" },
  PROMPT_TUNING: { className: "PromptTuningConfig", shared: promptShared, table: "none", modelFacts: "embeddings" },
  P_TUNING: { className: "PromptEncoderConfig", shared: promptShared, table: "none", modelFacts: "embeddings" },
  PREFIX_TUNING: { className: "PrefixTuningConfig", shared: promptShared, table: "none", modelFacts: "keys" },
  ADAPTION_PROMPT: {
    className: "AdaptionPromptConfig",
    shared: ["target_modules"],
    table: "attention",
    targetIsName: true,
    lastHits: "adapter_layers",
  },
  TRAINABLE_TOKENS: {
    className: "TrainableTokensConfig",
    shared: ["target_modules", "init_weights"],
    table: "embedding",
  },
  LOHA: { className: "LoHaConfig", shared: without(usual, "bias"), checks: "a", linearOnly: true, patches: true },
  LOKR: { className: "LoKrConfig", shared: without(usual, "bias"), checks: "a", linearOnly: true },
  HIRA: { className: "HiraConfig", shared: without(everything, "bias"), checks: "bc", patches: true },
  DELORA: { className: "DeloraConfig", shared: usual, checks: "ab", linearOnly: true },
  GRALORA: { className: "GraloraConfig", shared: without(everything, "exclude_modules") },
  ROAD: { className: "RoadConfig", shared: [...withTargets, "init_weights"], linearOnly: true },
  WAVEFT: { className: "WaveFTConfig", checks: "abc", table: "fourier", dottedPatterns: true },
};

/** The profile of a type; a method that PEFT does not have gets every shared field and no special rule. */
export const profileOf = (peftType: string): MethodProfile =>
  Object.hasOwn(own, peftType) ? { ...standard, ...own[peftType] } : { ...standard, patches: true };
