/** Configs of LORA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface LoraConfig extends CommonConfig {
  /** rank of the update */
  readonly r?: number;
  /** scale of the update, divided by r */
  readonly lora_alpha?: number;
  /** dropout on the input of the update */
  readonly lora_dropout?: number;
  /** divide lora_alpha by sqrt(r) */
  readonly use_rslora?: boolean;
  /** train the norms of the rows apart from their directions */
  readonly use_dora?: boolean;
  /** a trained bias on B */
  readonly lora_bias?: boolean;
  /** false: B is random too */
  readonly init_lora_weights?: FieldValue;
  readonly rank_pattern?: Readonly<Record<string, number>>;
  readonly alpha_pattern?: Readonly<Record<string, number>>;
  /** tokens whose rows train */
  readonly trainable_token_indices?: FieldValue;
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
  /** Whether the base stores its weights as [in, out]; corrected to what the base has. */
  readonly fan_in_fan_out?: boolean;
  /** Whether ends of a tie must train alike; refused where they would not. */
  readonly ensure_weight_tying?: boolean;
}

/** A config as `compile` takes it, with its `peft_type`. */
export const lora = (config: LoraConfig = {}) => ({ peft_type: "LORA", ...config }) as const;
