/** Configs of HRA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface HraConfig extends CommonConfig, Omit<SharedConfig, "init_weights" | "fan_in_fan_out"> {
  /** number of reflections */
  readonly r?: number;
  /** make the columns orthonormal first (Gram-Schmidt) */
  readonly apply_GS?: boolean;
  /** columns in equal pairs whose reflections cancel, where r is even; false: independent columns */
  readonly init_weights?: boolean;
}

export const hra = (config: HraConfig = {}) => ({ peft_type: "HRA", ...config }) as const;
