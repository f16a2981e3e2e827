/** Configs of VBLORA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface VbloraConfig extends CommonConfig, Omit<SharedConfig, "init_weights"> {
  /** rank of the update */
  readonly r?: number;
  /** vectors in the bank */
  readonly num_vectors?: number;
  /** their length; divides the widths of every layer */
  readonly vector_length?: number;
  /** vectors that are mixed at a place */
  readonly topk?: number;
  /** small files that can be used but not trained */
  readonly save_only_topk_weights?: boolean;
  /** dropout on the input of the update */
  readonly vblora_dropout?: number;
  /** the bank begins uniform within it */
  readonly init_vector_bank_bound?: number;
  /** deviation of the first logits */
  readonly init_logits_std?: number;
}

export const vblora = (config: VbloraConfig = {}) => ({ peft_type: "VBLORA", ...config }) as const;
