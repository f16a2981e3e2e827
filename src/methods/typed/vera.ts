/** Configs of VERA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface VeraConfig extends CommonConfig, Omit<SharedConfig, "exclude_modules" | "init_weights"> {
  /** width of the shared matrices */
  readonly r?: number;
  /** seed of the shared matrices */
  readonly projection_prng_key?: number;
  /** write the shared matrices to the file */
  readonly save_projection?: boolean;
  /** dropout on the input of the update */
  readonly vera_dropout?: number;
  /** first value of lambda_d */
  readonly d_initial?: number;
  /** false: lambda_d normal, lambda_b ones */
  readonly init_weights?: boolean;
}

export const vera = (config: VeraConfig = {}) => ({ peft_type: "VERA", ...config }) as const;
