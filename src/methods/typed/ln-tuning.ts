/** Configs of LN_TUNING, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface LnTuningConfig extends CommonConfig {
  /** Names of modules, one regular expression, or "all-linear". */
  readonly target_modules?: FieldValue;
  /** Modules that are trained and saved in full. */
  readonly modules_to_save?: readonly string[] | null;
  /** Names or one regular expression; wins over target_modules. */
  readonly exclude_modules?: FieldValue;
}

/** A config as `compile` takes it, with its `peft_type`. */
export const lnTuning = (config: LnTuningConfig = {}) => ({ peft_type: "LN_TUNING", ...config }) as const;
