/** Configs of HIRA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface HiraConfig extends CommonConfig {
  /** rank of the factor */
  readonly r?: number;
  /** dropout on the input of the update */
  readonly hira_dropout?: number;
  /** true: B is zero; "gaussian": and A normal; false or null: both normal */
  readonly init_weights?: FieldValue;
  readonly rank_pattern?: Readonly<Record<string, number>>;
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
  /** Whether the base stores its weights as [in, out]; corrected to what the base has. */
  readonly fan_in_fan_out?: boolean;
}

/** A config as `compile` takes it, with its `peft_type`. */
export const hira = (config: HiraConfig = {}) => ({ peft_type: "HIRA", ...config }) as const;
