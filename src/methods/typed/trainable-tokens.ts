/** Configs of TRAINABLE_TOKENS, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface TrainableTokensConfig extends CommonConfig, Pick<SharedConfig, "target_modules"> {
  /** tokens whose rows train */
  readonly token_indices?: readonly number[];
  /** false: normal instead of the rows of the base */
  readonly init_weights?: boolean;
}

export const trainableTokens = (config: TrainableTokensConfig = {}) =>
  ({ peft_type: "TRAINABLE_TOKENS", ...config }) as const;
