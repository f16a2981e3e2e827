/** Configs of BONE, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface BoneConfig extends CommonConfig, Omit<SharedConfig, "init_weights" | "fan_in_fan_out"> {
  /** rows of the matrix that is repeated */
  readonly r?: number;
  /** true or false: a whole row of blocks, zero or random; "bat": blocks that multiply those of the weight */
  readonly init_weights?: FieldValue;
}

export const bone = (config: BoneConfig = {}) => ({ peft_type: "BONE", ...config }) as const;
