/** Configs of ADAPTION_PROMPT, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface AdaptionPromptConfig extends CommonConfig {
  /** tokens of the prompt */
  readonly adapter_len?: number | null;
  /** how many of the last layers have one */
  readonly adapter_layers?: number | null;
  /** Names of modules, one regular expression, or "all-linear". */
  readonly target_modules?: FieldValue;
}

/** A config as `compile` takes it, with its `peft_type`. */
export const adaptionPrompt = (config: AdaptionPromptConfig = {}) =>
  ({ peft_type: "ADAPTION_PROMPT", ...config }) as const;
