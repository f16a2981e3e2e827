/** Configs of RANDLORA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface RandloraConfig extends CommonConfig {
  /** rank of a basis; a smaller one means more bases and more parameters */
  readonly r?: number;
  /** scale of the update, divided by r */
  readonly randlora_alpha?: number;
  /** seed of the bases */
  readonly projection_prng_key?: number;
  /** write the bases to the file */
  readonly save_projection?: boolean;
  /** bases of -1, 0 and 1, a third of them not 0 */
  readonly sparse?: boolean;
  /** one in sqrt(width) not 0; wins over sparse */
  readonly very_sparse?: boolean;
  /** dropout on the input of the update */
  readonly randlora_dropout?: number;
  /** false: lambda normal instead of zero */
  readonly init_weights?: boolean;
  /** Names of modules, one regular expression, or "all-linear". */
  readonly target_modules?: FieldValue;
  /** Modules that are trained and saved in full. */
  readonly modules_to_save?: readonly string[] | null;
  /** Indices of the layers that get an adapter. */
  readonly layers_to_transform?: FieldValue;
  /** Name of the list of layers that layers_to_transform counts in. */
  readonly layers_pattern?: FieldValue;
  /** Which biases train: none, all, or those of the targets (any name that ends with _only). */
  readonly bias?: string;
  /** Whether the base stores its weights as [in, out]; corrected to what the base has. */
  readonly fan_in_fan_out?: boolean;
}

/** A config as `compile` takes it, with its `peft_type`. */
export const randlora = (config: RandloraConfig = {}) => ({ peft_type: "RANDLORA", ...config }) as const;
