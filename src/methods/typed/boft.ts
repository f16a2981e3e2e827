/** Configs of BOFT, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface BoftConfig extends CommonConfig {
  /** width of a block */
  readonly boft_block_size?: number;
  /** number of blocks */
  readonly boft_block_num?: number;
  /** number of factors; 1 is plain blocks */
  readonly boft_n_butterfly_factor?: number;
  /** part of the blocks of one factor that is left out */
  readonly boft_dropout?: number;
  /** false: normal instead of zeros and ones */
  readonly init_weights?: boolean;
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
export const boft = (config: BoftConfig = {}) => ({ peft_type: "BOFT", ...config }) as const;
