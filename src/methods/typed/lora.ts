/** Configs of LORA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface LoraConfig extends CommonConfig, Omit<SharedConfig, "init_weights"> {
  /** rank of the update */
  readonly r?: number;
  /** scale of the update, divided by r */
  readonly lora_alpha?: number;
  /** dropout on the input of the update */
  readonly lora_dropout?: number;
  /** divide lora_alpha by sqrt(r) */
  readonly use_rslora?: boolean;
  /** train the norms of the rows apart from their directions */
  readonly use_dora?: boolean;
  /** a trained bias on B */
  readonly lora_bias?: boolean;
  /** false: B is random too */
  readonly init_lora_weights?: FieldValue;
  readonly rank_pattern?: Readonly<Record<string, number>>;
  readonly alpha_pattern?: Readonly<Record<string, number>>;
  /** tokens whose rows train */
  readonly trainable_token_indices?: FieldValue;
  /** parameters of experts and routers that are adapted as layers are */
  readonly target_parameters?: FieldValue;
  /** Whether ends of a tie must train alike; refused where they would not. */
  readonly ensure_weight_tying?: boolean;
}

export const lora = (config: LoraConfig = {}) => ({ peft_type: "LORA", ...config }) as const;
