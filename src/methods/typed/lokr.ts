/** Configs of LOKR, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface LokrConfig extends CommonConfig, Omit<SharedConfig, "bias" | "init_weights" | "fan_in_fan_out"> {
  /** rank of a factor that is cut; large factors are cut */
  readonly r?: number;
  /** scale of the update, divided by r */
  readonly alpha?: number;
  /** part of the update's rows that is left out in a training step */
  readonly rank_dropout?: number;
  /** divide the rows that are left by their share */
  readonly rank_dropout_scale?: boolean;
  /** how often a training step leaves the whole update out */
  readonly module_dropout?: number;
  /** cut the first factor too */
  readonly decompose_both?: boolean;
  /** extents of the first factor; -1: near the square root */
  readonly decompose_factor?: number;
  /** for convolutions; no effect on linear layers */
  readonly use_effective_conv2d?: boolean;
  /** true: the first factor is 0; "lycoris": the second; false: neither */
  readonly init_weights?: FieldValue;
  readonly rank_pattern?: Readonly<Record<string, number>>;
  readonly alpha_pattern?: Readonly<Record<string, number>>;
}

export const lokr = (config: LokrConfig = {}) => ({ peft_type: "LOKR", ...config }) as const;
