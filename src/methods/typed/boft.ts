/** Configs of BOFT, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface BoftConfig extends CommonConfig, Omit<SharedConfig, "init_weights"> {
  /** width of a block */
  readonly boft_block_size?: number;
  /** number of blocks */
  readonly boft_block_num?: number;
  /** number of factors; 1 is plain blocks */
  readonly boft_n_butterfly_factor?: number;
  /** part of the blocks of one factor that is left out */
  readonly boft_dropout?: number;
  /** false: normal instead of zeros and ones */
  readonly init_weights?: boolean;
}

export const boft = (config: BoftConfig = {}) => ({ peft_type: "BOFT", ...config }) as const;
