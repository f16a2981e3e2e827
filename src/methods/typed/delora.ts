/** Configs of DELORA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface DeloraConfig extends CommonConfig {
  /** rank of the update */
  readonly r?: number;
  /** first value of the strength */
  readonly delora_lambda?: number;
  /** dropout on the input of the update */
  readonly module_dropout?: number;
  /** false: B is random too */
  readonly init_weights?: boolean;
  readonly rank_pattern?: Readonly<Record<string, number>>;
  readonly lambda_pattern?: Readonly<Record<string, number>>;
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
export const delora = (config: DeloraConfig = {}) => ({ peft_type: "DELORA", ...config }) as const;
