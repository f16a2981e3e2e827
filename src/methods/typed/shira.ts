/** Configs of SHIRA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface ShiraConfig
  extends CommonConfig,
    Pick<SharedConfig, "target_modules" | "modules_to_save" | "fan_in_fan_out"> {
  /** r (in + out) entries train */
  readonly r?: number;
  /** how they are chosen; another mask than a random one comes with the tensor shira_indices */
  readonly mask_type?: string;
  /** seed of their places; null: PyTorch's own */
  readonly random_seed?: number | null;
  /** false: normal instead of zeros */
  readonly init_weights?: boolean;
}

export const shira = (config: ShiraConfig = {}) => ({ peft_type: "SHIRA", ...config }) as const;
