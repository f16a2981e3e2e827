/** Configs of HIRA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface HiraConfig extends CommonConfig, Omit<SharedConfig, "bias" | "init_weights"> {
  /** rank of the factor */
  readonly r?: number;
  /** dropout on the input of the update */
  readonly hira_dropout?: number;
  /** true: B is zero; "gaussian": and A normal; false or null: both normal */
  readonly init_weights?: FieldValue;
  readonly rank_pattern?: Readonly<Record<string, number>>;
}

export const hira = (config: HiraConfig = {}) => ({ peft_type: "HIRA", ...config }) as const;
