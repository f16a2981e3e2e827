/** Fields of many adapter configs. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";

/** Fields of every config. */
export interface CommonConfig {
  /** What the model is for; decides the task head that is trained too. */
  readonly task_type?: string | null;
  /** Class and library of a base model without a task type. */
  readonly auto_mapping?: FieldValue;
  /** The version that wrote the config; decides the defaults of absent fields. */
  readonly peft_version?: string | null;
  /** The base model. */
  readonly base_model_name_or_path?: string | null;
  /** Revision of the base model. */
  readonly revision?: string | null;
  /** Written as true in every saved config. */
  readonly inference_mode?: boolean;
}

/** Fields that most configs have. */
export interface SharedConfig {
  /** Names of modules, one regular expression, or "all-linear". */
  readonly target_modules?: FieldValue;
  /** Modules that are trained and saved in full. */
  readonly modules_to_save?: readonly string[] | null;
  /** Indices of the layers that get an adapter. */
  readonly layers_to_transform?: FieldValue;
  /** Name of the list of layers that layers_to_transform counts in. */
  readonly layers_pattern?: FieldValue;
  /** Names or one regular expression; wins over target_modules. */
  readonly exclude_modules?: FieldValue;
  /** Which biases train: none, all, or those of the targets (any name that ends with _only). */
  readonly bias?: string;
  /** Whether a fresh adapter starts as the method prescribes (usually the base model). */
  readonly init_weights?: boolean;
  /** Whether the base stores its weights as [in, out]; corrected to what the base has. */
  readonly fan_in_fan_out?: boolean;
}
