/** Configs of PREFIX_TUNING, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface PrefixTuningConfig extends CommonConfig, Pick<SharedConfig, "modules_to_save"> {
  /** keys and values in front of those of the text */
  readonly num_virtual_tokens?: number | null;
  /** keys and values come from a small network */
  readonly prefix_projection?: boolean;
  /** width of that network */
  readonly encoder_hidden_size?: number | null;
  /** zero: zeros instead of normal */
  readonly init_weights?: FieldValue;
  /** width of the keys of a layer */
  readonly token_dim?: number | null;
  /** 1; 2 for models with encoder and decoder */
  readonly num_transformer_submodules?: number | null;
  /** layers of the model */
  readonly num_layers?: number | null;
  /** heads of the keys */
  readonly num_attention_heads?: number | null;
}

export const prefixTuning = (config: PrefixTuningConfig = {}) => ({ peft_type: "PREFIX_TUNING", ...config }) as const;
