/** Configs of LN_TUNING, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface LnTuningConfig
  extends CommonConfig,
    Pick<SharedConfig, "target_modules" | "modules_to_save" | "exclude_modules"> {}

export const lnTuning = (config: LnTuningConfig = {}) => ({ peft_type: "LN_TUNING", ...config }) as const;
