/** Configs of GRALORA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface GraloraConfig extends CommonConfig, Omit<SharedConfig, "exclude_modules" | "init_weights"> {
  /** rank of a row of blocks */
  readonly r?: number;
  /** scale of the update, divided by r + hybrid_r */
  readonly alpha?: number;
  /** blocks along either side */
  readonly gralora_k?: number;
  /** rank of a plain low-rank update beside the blocks */
  readonly hybrid_r?: number;
  /** dropout on the input of the update */
  readonly gralora_dropout?: number;
  /** false: B is random too */
  readonly init_weights?: boolean;
}

export const gralora = (config: GraloraConfig = {}) => ({ peft_type: "GRALORA", ...config }) as const;
