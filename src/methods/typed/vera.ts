/** Configs of VERA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface VeraConfig extends CommonConfig {
  /** width of the shared matrices */
  readonly r?: number;
  /** seed of the shared matrices */
  readonly projection_prng_key?: number;
  /** write the shared matrices to the file */
  readonly save_projection?: boolean;
  /** dropout on the input of the update */
  readonly vera_dropout?: number;
  /** first value of lambda_d */
  readonly d_initial?: number;
  /** false: lambda_d normal, lambda_b ones */
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
export const vera = (config: VeraConfig = {}) => ({ peft_type: "VERA", ...config }) as const;
