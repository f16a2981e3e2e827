/** Configs of TRAINABLE_TOKENS, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface TrainableTokensConfig extends CommonConfig {
  /** tokens whose rows train */
  readonly token_indices?: readonly number[];
  /** false: normal instead of the rows of the base */
  readonly init_weights?: boolean;
  /** Names of modules, one regular expression, or "all-linear". */
  readonly target_modules?: FieldValue;
}

/** A config as `compile` takes it, with its `peft_type`. */
export const trainableTokens = (config: TrainableTokensConfig = {}) =>
  ({ peft_type: "TRAINABLE_TOKENS", ...config }) as const;
