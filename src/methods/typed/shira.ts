/** Configs of SHIRA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface ShiraConfig extends CommonConfig {
  /** r (in + out) entries train */
  readonly r?: number;
  /** how they are chosen; another mask than a random one comes with the tensor shira_indices */
  readonly mask_type?: string;
  /** seed of their places; null: PyTorch's own */
  readonly random_seed?: number | null;
  /** false: normal instead of zeros */
  readonly init_weights?: boolean;
  /** Names of modules, one regular expression, or "all-linear". */
  readonly target_modules?: FieldValue;
  /** Modules that are trained and saved in full. */
  readonly modules_to_save?: readonly string[] | null;
  /** Whether the base stores its weights as [in, out]; corrected to what the base has. */
  readonly fan_in_fan_out?: boolean;
}

/** A config as `compile` takes it, with its `peft_type`. */
export const shira = (config: ShiraConfig = {}) => ({ peft_type: "SHIRA", ...config }) as const;
