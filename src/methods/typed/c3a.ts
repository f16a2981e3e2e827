/** Configs of C3A, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface C3aConfig
  extends CommonConfig,
    Omit<SharedConfig, "exclude_modules" | "init_weights" | "fan_in_fan_out"> {
  /** width of a block; divides both widths of the layer */
  readonly block_size?: number;
  /** "xavier_uniform" or false, "kaiming_uniform", "gaussian"; true: zeros */
  readonly init_weights?: FieldValue;
  readonly block_size_pattern?: Readonly<Record<string, number>>;
}

export const c3a = (config: C3aConfig = {}) => ({ peft_type: "C3A", ...config }) as const;
