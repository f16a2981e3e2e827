/** Configs of VBLORA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface VbloraConfig extends CommonConfig {
  /** rank of the update */
  readonly r?: number;
  /** vectors in the bank */
  readonly num_vectors?: number;
  /** their length; divides the widths of every layer */
  readonly vector_length?: number;
  /** vectors that are mixed at a place */
  readonly topk?: number;
  /** small files that can be used but not trained */
  readonly save_only_topk_weights?: boolean;
  /** dropout on the input of the update */
  readonly vblora_dropout?: number;
  /** the bank begins uniform within it */
  readonly init_vector_bank_bound?: number;
  /** deviation of the first logits */
  readonly init_logits_std?: number;
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
}

/** A config as `compile` takes it, with its `peft_type`. */
export const vblora = (config: VbloraConfig = {}) => ({ peft_type: "VBLORA", ...config }) as const;
