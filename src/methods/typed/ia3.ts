/** Configs of IA3, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface Ia3Config
  extends CommonConfig,
    Pick<SharedConfig, "target_modules" | "modules_to_save" | "exclude_modules" | "fan_in_fan_out"> {
  /** modules whose input is scaled; a list of endings or a regular expression */
  readonly feedforward_modules?: FieldValue;
  /** false: normal instead of ones */
  readonly init_ia3_weights?: boolean;
}

export const ia3 = (config: Ia3Config = {}) => ({ peft_type: "IA3", ...config }) as const;
