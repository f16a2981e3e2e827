/** Configs of PROMPT_TUNING, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface PromptTuningConfig extends CommonConfig, Pick<SharedConfig, "modules_to_save"> {
  /** virtual tokens in front of the text */
  readonly num_virtual_tokens?: number | null;
  /** RANDOM: normal; SAMPLE_VOCAB: embeddings of random tokens; TEXT: those of a text */
  readonly prompt_tuning_init?: FieldValue;
  /** with TEXT: what the virtual tokens begin as */
  readonly prompt_tuning_init_text?: string | null;
  /** with TEXT: its tokenizer */
  readonly tokenizer_name_or_path?: string | null;
  /** options of that tokenizer */
  readonly tokenizer_kwargs?: FieldValue;
  /** hidden width of the model */
  readonly token_dim?: number | null;
  /** 1; 2 for models with encoder and decoder */
  readonly num_transformer_submodules?: number | null;
  /** layers of the model */
  readonly num_layers?: number | null;
  /** heads of the model */
  readonly num_attention_heads?: number | null;
}

export const promptTuning = (config: PromptTuningConfig = {}) => ({ peft_type: "PROMPT_TUNING", ...config }) as const;
