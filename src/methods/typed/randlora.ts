/** Configs of RANDLORA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface RandloraConfig extends CommonConfig, Omit<SharedConfig, "exclude_modules" | "init_weights"> {
  /** rank of a basis; a smaller one means more bases and more parameters */
  readonly r?: number;
  /** scale of the update, divided by r */
  readonly randlora_alpha?: number;
  /** seed of the bases */
  readonly projection_prng_key?: number;
  /** write the bases to the file */
  readonly save_projection?: boolean;
  /** bases of -1, 0 and 1, a third of them not 0 */
  readonly sparse?: boolean;
  /** one in sqrt(width) not 0; wins over sparse */
  readonly very_sparse?: boolean;
  /** dropout on the input of the update */
  readonly randlora_dropout?: number;
  /** false: lambda normal instead of zero */
  readonly init_weights?: boolean;
}

export const randlora = (config: RandloraConfig = {}) => ({ peft_type: "RANDLORA", ...config }) as const;
