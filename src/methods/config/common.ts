/** Fields of `adapter_config.json` that belong to no method: those of every config, and those that most share. */
import type { FieldDeclaration, FieldType, FieldValue } from "../fields.ts";

/** The version of PEFT whose behaviour is reproduced; a config that we complete carries it. */
export const peftVersion = "0.21.2";

export const taskTypes = "SEQ_CLS SEQ_2_SEQ_LM CAUSAL_LM TOKEN_CLS QUESTION_ANS FEATURE_EXTRACTION".split(" ");

/** Every type name of PEFT 0.21.2, and BONE, which it dropped in 0.19. */
export const peftTypes: readonly string[] = [
  ..."PROMPT_TUNING MULTITASK_PROMPT_TUNING P_TUNING PREFIX_TUNING LORA ADALORA ADAMSS BOFT ADAPTION_PROMPT IA3".split(
    " ",
  ),
  ..."BEFT LILY LOHA LOKR OFT POLY LN_TUNING VERA FROD PVERA FOURIERFT GLORA XLORA HRA VBLORA UNILORA CPT".split(" "),
  ..."MISS RANDLORA ROAD TRAINABLE_TOKENS HIRA SHIRA C3A WAVEFT OSF DELORA GRALORA CARTRIDGE TINYLORA".split(" "),
  ..."PSOFT PEANUT SHADOW SUPERTUNING DEFT BONE".split(" "),
];

/** A field; one whose preset is null may be null. */
const field = (name: string, type: FieldType, doc: string, preset: FieldValue = null): FieldDeclaration => {
  return { name, type, nullable: preset === null, default: preset, doc };
};

/** Fields that every config has (beside `peft_type`). */
export const commonFields: readonly FieldDeclaration[] = [
  field("task_type", "string", "What the model is for; decides the task head that is trained too."),
  field("auto_mapping", "any", "Class and library of a base model without a task type."),
  field("peft_version", "string", "The version that wrote the config; decides the defaults of absent fields."),
  field("base_model_name_or_path", "string", "The base model."),
  field("revision", "string", "Revision of the base model."),
  field("inference_mode", "bool", "Written as true in every saved config.", false),
];

const biases = "Which biases train: none, all, or those of the targets (any name that ends with _only).";
const layout = "Whether the base stores its weights as [in, out]; corrected to what the base has.";
const start = "Whether a fresh adapter starts as the method prescribes (usually the base model).";
const ties = "Whether ends of a tie must train alike; refused where they would not.";

/** Fields that most methods share; which a method has is in its profile. `any` ones are checked by `checkUnionField`. */
export const sharedFields = {
  target_modules: field("target_modules", "any", 'Names of modules, one regular expression, or "all-linear".'),
  exclude_modules: field("exclude_modules", "any", "Names or one regular expression; wins over target_modules."),
  modules_to_save: field("modules_to_save", "string_list", "Modules that are trained and saved in full."),
  layers_to_transform: field("layers_to_transform", "any", "Indices of the layers that get an adapter."),
  layers_pattern: field("layers_pattern", "any", "Name of the list of layers that layers_to_transform counts in."),
  bias: field("bias", "string", biases, "none"),
  fan_in_fan_out: field("fan_in_fan_out", "bool", layout, false),
  init_weights: field("init_weights", "bool", start, true),
  ensure_weight_tying: field("ensure_weight_tying", "bool", ties, false),
};

export type SharedField = keyof typeof sharedFields;
