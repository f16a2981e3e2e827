/** Configs of HRA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface HraConfig extends CommonConfig {
  /** number of reflections */
  readonly r?: number;
  /** make the columns orthonormal first (Gram-Schmidt) */
  readonly apply_GS?: boolean;
  /** columns in equal pairs whose reflections cancel, where r is even; false: independent columns */
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
}

/** A config as `compile` takes it, with its `peft_type`. */
export const hra = (config: HraConfig = {}) => ({ peft_type: "HRA", ...config }) as const;
