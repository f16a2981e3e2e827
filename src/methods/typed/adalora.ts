/** Configs of ADALORA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface AdaloraConfig extends CommonConfig, Omit<SharedConfig, "init_weights"> {
  /** rank of the update */
  readonly init_r?: number;
  /** mean rank in the end; ranks are not reduced here */
  readonly target_r?: number;
  /** steps of the whole training */
  readonly total_step?: number | null;
  /** steps before ranks are reduced */
  readonly tinit?: number;
  /** steps after that */
  readonly tfinal?: number;
  /** steps between two reductions */
  readonly deltaT?: number;
  /** smoothing of sensitivities */
  readonly beta1?: number;
  /** smoothing of their spread */
  readonly beta2?: number;
  /** weight of the term that keeps A and B orthogonal */
  readonly orth_reg_weight?: number;
  /** not used: init_r is the rank */
  readonly r?: number;
  /** scale of the update; init_r when it is not above 0 */
  readonly lora_alpha?: number;
  /** dropout on the input of the update */
  readonly lora_dropout?: number;
  /** false: everything normal */
  readonly init_lora_weights?: FieldValue;
  /** not with AdaLoRA */
  readonly use_dora?: boolean;
  /** components that were kept, per module */
  readonly rank_pattern?: Readonly<Record<string, readonly boolean[]>> | null;
  /** Whether ends of a tie must train alike; refused where they would not. */
  readonly ensure_weight_tying?: boolean;
}

export const adalora = (config: AdaloraConfig = {}) => ({ peft_type: "ADALORA", ...config }) as const;
