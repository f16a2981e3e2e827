/** Configs of XLORA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface XloraConfig extends CommonConfig {
  /** width of the hidden states: that of the model */
  readonly hidden_size?: number | null;
  /** name of an expert -> folder of its LoRA, from the adapter's own; their order counts */
  readonly adapters?: FieldValue;
  /** layers of the classifier */
  readonly xlora_depth?: number;
  /** width between them */
  readonly xlora_size?: number;
  /** dropout between them */
  readonly xlora_dropout_p?: number;
  /** weights of a token add up to 1 */
  readonly enable_softmax?: boolean;
  /** of that softmax */
  readonly softmax_temperature?: number;
  /** softmax of the weights that top_k_lora leaves */
  readonly enable_softmax_topk?: boolean;
  /** experts of a token; null: all */
  readonly top_k_lora?: number | null;
  /** weights differ between the adapted layers */
  readonly layerwise_scalings?: boolean;
  /** the experts train too */
  readonly use_trainable_adapters?: boolean;
  /** weight in the first pass of the experts that top_k_lora leaves */
  readonly scaling_pass_value?: number;
  /** factor of all experts */
  readonly global_scaling_weight?: number;
  /** hidden states are normalised first, by rms or layer */
  readonly layernorm_type?: string | null;
  /** false: layers without bias */
  readonly use_bias?: boolean;
}

export const xlora = (config: XloraConfig = {}) => ({ peft_type: "XLORA", ...config }) as const;
