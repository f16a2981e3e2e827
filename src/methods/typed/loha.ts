/** Configs of LOHA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface LohaConfig extends CommonConfig, Omit<SharedConfig, "bias" | "init_weights" | "fan_in_fan_out"> {
  /** rank of both factors; the update has rank r^2 */
  readonly r?: number;
  /** scale of the update, divided by r */
  readonly alpha?: number;
  /** part of the update's rows that is left out in a training step */
  readonly rank_dropout?: number;
  /** how often a training step leaves the whole update out */
  readonly module_dropout?: number;
  /** for convolutions; no effect on linear layers */
  readonly use_effective_conv2d?: boolean;
  /** false: w2_b is random too */
  readonly init_weights?: boolean;
  readonly rank_pattern?: Readonly<Record<string, number>>;
  readonly alpha_pattern?: Readonly<Record<string, number>>;
}

export const loha = (config: LohaConfig = {}) => ({ peft_type: "LOHA", ...config }) as const;
