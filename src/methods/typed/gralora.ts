/** Configs of GRALORA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface GraloraConfig extends CommonConfig {
  /** rank of a row of blocks */
  readonly r?: number;
  /** scale of the update, divided by r + hybrid_r */
  readonly alpha?: number;
  /** blocks along either side */
  readonly gralora_k?: number;
  /** rank of a plain low-rank update beside the blocks */
  readonly hybrid_r?: number;
  /** dropout on the input of the update */
  readonly gralora_dropout?: number;
  /** false: B is random too */
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
export const gralora = (config: GraloraConfig = {}) => ({ peft_type: "GRALORA", ...config }) as const;
