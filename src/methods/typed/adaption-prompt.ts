/** Configs of ADAPTION_PROMPT, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface AdaptionPromptConfig extends CommonConfig, Pick<SharedConfig, "target_modules"> {
  /** tokens of the prompt */
  readonly adapter_len?: number | null;
  /** how many of the last layers have one */
  readonly adapter_layers?: number | null;
}

export const adaptionPrompt = (config: AdaptionPromptConfig = {}) =>
  ({ peft_type: "ADAPTION_PROMPT", ...config }) as const;
