/** Configs of BONE, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface BoneConfig extends CommonConfig {
  /** rows of the matrix that is repeated */
  readonly r?: number;
  /** true or false: a whole row of blocks, zero or random; "bat": blocks that multiply those of the weight */
  readonly init_weights?: FieldValue;
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
export const bone = (config: BoneConfig = {}) => ({ peft_type: "BONE", ...config }) as const;
