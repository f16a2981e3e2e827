/** Configs of IA3, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface Ia3Config extends CommonConfig {
  /** modules whose input is scaled; a list of endings or a regular expression */
  readonly feedforward_modules?: FieldValue;
  /** false: normal instead of ones */
  readonly init_ia3_weights?: boolean;
  /** Names of modules, one regular expression, or "all-linear". */
  readonly target_modules?: FieldValue;
  /** Modules that are trained and saved in full. */
  readonly modules_to_save?: readonly string[] | null;
  /** Names or one regular expression; wins over target_modules. */
  readonly exclude_modules?: FieldValue;
  /** Whether the base stores its weights as [in, out]; corrected to what the base has. */
  readonly fan_in_fan_out?: boolean;
}

/** A config as `compile` takes it, with its `peft_type`. */
export const ia3 = (config: Ia3Config = {}) => ({ peft_type: "IA3", ...config }) as const;
