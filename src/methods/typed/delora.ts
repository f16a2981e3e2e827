/** Configs of DELORA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface DeloraConfig extends CommonConfig, Omit<SharedConfig, "init_weights" | "fan_in_fan_out"> {
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
}

export const delora = (config: DeloraConfig = {}) => ({ peft_type: "DELORA", ...config }) as const;
