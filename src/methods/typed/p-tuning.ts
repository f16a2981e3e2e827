/** Configs of P_TUNING, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface PTuningConfig extends CommonConfig, Pick<SharedConfig, "modules_to_save"> {
  /** virtual tokens in front of the text */
  readonly num_virtual_tokens?: number | null;
  /** MLP: three layers; LSTM: layers in both directions and two more */
  readonly encoder_reparameterization_type?: "MLP" | "LSTM";
  /** width of the network; token_dim unless given */
  readonly encoder_hidden_size?: number | null;
  /** layers of the LSTM */
  readonly encoder_num_layers?: number;
  /** dropout between the layers of the LSTM */
  readonly encoder_dropout?: number;
  /** hidden width of the model */
  readonly token_dim?: number | null;
  /** 1; 2 for models with encoder and decoder */
  readonly num_transformer_submodules?: number | null;
  /** layers of the model */
  readonly num_layers?: number | null;
  /** heads of the model */
  readonly num_attention_heads?: number | null;
}

export const pTuning = (config: PTuningConfig = {}) => ({ peft_type: "P_TUNING", ...config }) as const;
