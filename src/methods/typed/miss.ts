/** Configs of MISS, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface MissConfig extends CommonConfig, Omit<SharedConfig, "init_weights" | "fan_in_fan_out"> {
  /** rows of the matrix that is repeated */
  readonly r?: number;
  /** dropout on the input of the update; none with "bat" */
  readonly miss_dropout?: number;
  /** columns of the matrix with "mini", repeated along the output */
  readonly mini_r?: number;
  /** true or false: a whole row of blocks, zero or random; "bat": blocks that multiply those of the weight; "mini" */
  readonly init_weights?: FieldValue;
}

export const miss = (config: MissConfig = {}) => ({ peft_type: "MISS", ...config }) as const;
