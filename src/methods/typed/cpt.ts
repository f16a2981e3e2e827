/** Configs of CPT, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface CptConfig extends CommonConfig, Pick<SharedConfig, "modules_to_save"> {
  /** tokens of the context */
  readonly cpt_token_ids?: readonly number[] | null;
  /** kept, and read by nothing, as in PEFT */
  readonly cpt_mask?: readonly number[] | null;
  /** roles: 1 template of the input, 2 input, 3 template of the output, 4 label; 5 to 8 in the next example ...; 0 nothing */
  readonly cpt_tokens_type_mask?: readonly number[] | null;
  /** decay: earlier examples count less */
  readonly opt_weighted_loss_type?: "none" | "decay" | null;
  /** how much less, example by example from the last */
  readonly opt_loss_decay_factor?: number;
  /** how far tokens of the input may move, at a width of 2048 */
  readonly opt_projection_epsilon?: number;
  /** how far tokens of templates may */
  readonly opt_projection_format_epsilon?: number;
  /** stored only */
  readonly tokenizer_name_or_path?: string | null;
  /** tokens of the context */
  readonly num_virtual_tokens?: number | null;
  /** hidden width of the model */
  readonly token_dim?: number | null;
  /** 1, the number of models that take the prompt */
  readonly num_transformer_submodules?: number | null;
  /** layers of the model */
  readonly num_layers?: number | null;
  /** heads of the model */
  readonly num_attention_heads?: number | null;
}

export const cpt = (config: CptConfig = {}) => ({ peft_type: "CPT", ...config }) as const;
