/** Fields of `adapter_config.json` that belong to no method: those of every config, and those that most share. */
import type { FieldDeclaration } from "../fields.ts";

/** The version of PEFT whose behaviour is reproduced; a config that we complete carries it. */
export const peftVersion = "0.21.2";

export const taskTypes = [
  "SEQ_CLS",
  "SEQ_2_SEQ_LM",
  "CAUSAL_LM",
  "TOKEN_CLS",
  "QUESTION_ANS",
  "FEATURE_EXTRACTION",
] as const;

/** Every type name of PEFT 0.21.2, and BONE, which it dropped in 0.19. */
export const peftTypes: readonly string[] = [
  ..."PROMPT_TUNING MULTITASK_PROMPT_TUNING P_TUNING PREFIX_TUNING LORA ADALORA ADAMSS BOFT ADAPTION_PROMPT IA3".split(
    " ",
  ),
  ..."BEFT LILY LOHA LOKR OFT POLY LN_TUNING VERA FROD PVERA FOURIERFT GLORA XLORA HRA VBLORA UNILORA CPT".split(" "),
  ..."MISS RANDLORA ROAD TRAINABLE_TOKENS HIRA SHIRA C3A WAVEFT OSF DELORA GRALORA CARTRIDGE TINYLORA".split(" "),
  ..."PSOFT PEANUT SHADOW SUPERTUNING DEFT BONE".split(" "),
];

const nullable = (name: string, type: FieldDeclaration["type"], doc: string): FieldDeclaration => ({
  name,
  type,
  nullable: true,
  default: null,
  doc,
});

/** Fields that every config has (beside `peft_type`). */
export const commonFields: readonly FieldDeclaration[] = [
  nullable("task_type", "string", "What the model is for; decides the task head that is trained too."),
  nullable("auto_mapping", "any", "Class and library of a base model without a task type."),
  nullable("peft_version", "string", "The version that wrote the config; decides the defaults of absent fields."),
  nullable("base_model_name_or_path", "string", "The base model."),
  nullable("revision", "string", "Revision of the base model."),
  {
    name: "inference_mode",
    type: "bool",
    nullable: false,
    default: false,
    doc: "Written as true in every saved config.",
  },
];

export type SharedField =
  | "target_modules"
  | "exclude_modules"
  | "modules_to_save"
  | "layers_to_transform"
  | "layers_pattern"
  | "bias"
  | "fan_in_fan_out"
  | "init_weights"
  | "ensure_weight_tying";

/** Fields that most methods share; which a method has is in its profile. `any` ones are checked by `checkTargetField`. */
export const sharedFields: Readonly<Record<SharedField, FieldDeclaration>> = {
  target_modules: nullable("target_modules", "any", 'Names of modules, one regular expression, or "all-linear".'),
  exclude_modules: nullable("exclude_modules", "any", "Names or one regular expression; wins over target_modules."),
  modules_to_save: nullable("modules_to_save", "string_list", "Modules that are trained and saved in full."),
  layers_to_transform: nullable("layers_to_transform", "any", "Indices of the layers that get an adapter."),
  layers_pattern: nullable("layers_pattern", "any", "Name of the list of layers that layers_to_transform counts in."),
  bias: {
    name: "bias",
    type: "string",
    nullable: false,
    default: "none",
    doc: "Which biases train: none, all, or those of the targets (any name that ends with _only).",
  },
  fan_in_fan_out: {
    name: "fan_in_fan_out",
    type: "bool",
    nullable: false,
    default: false,
    doc: "Whether the base stores its weights as [in, out]; corrected to what the base has.",
  },
  init_weights: {
    name: "init_weights",
    type: "bool",
    nullable: false,
    default: true,
    doc: "Whether a fresh adapter starts as the method prescribes (usually the base model).",
  },
  ensure_weight_tying: {
    name: "ensure_weight_tying",
    type: "bool",
    nullable: false,
    default: false,
    doc: "Whether ends of a tie must train alike; refused where they would not.",
  },
};
