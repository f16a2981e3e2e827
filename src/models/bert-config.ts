/** What the configs of bert and roberta say, in one form. */
import type { DiagnosticSink } from "../ir/diagnostics.ts";
import { type Activation, readActivation } from "./activation.ts";
import {
  layerCount,
  positiveInteger,
  positiveNumber,
  present,
  requirePlainWeights,
  requireValue,
  specialTokens,
  text,
  warnOfDropout,
} from "./config.ts";
import { classes, headKind } from "./head.ts";
import type { ModelConfig, ModelDefaults } from "./model.ts";
import { headWidth } from "./shapes.ts";

export interface BertSettings {
  /** `bert` or `roberta`: the first part of every path. */
  readonly name: "bert" | "roberta";
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly headWidth: number;
  readonly positions: number;
  readonly tokenTypes: number;
  readonly epsilon: number;
  readonly activation: Activation;
  /** RoBERTa counts positions from here on and only over other tokens. */
  readonly padding?: number;
  readonly defaults: ModelDefaults;
}

/** Throws `MODEL-` errors for what is missing, malformed or not built; warns where a field is not honoured. */
export function readBertConfig(config: ModelConfig, sink: DiagnosticSink): BertSettings {
  requirePlainWeights(config);
  warnOfDropout(config, ["hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"], sink);
  requireValue(config, "position_embedding_type", "absolute");
  requireValue(config, "is_decoder", false);
  requireValue(config, "add_cross_attention", false);
  const name = text(config, "model_type", "bert") === "roberta" ? "roberta" : "bert";
  const padding = name === "roberta" ? (specialTokens(config).padToken ?? 1) : undefined;
  const hidden = positiveInteger(config, "hidden_size", 768);
  const heads = positiveInteger(config, "num_attention_heads", 12);
  const layers = layerCount(config, "num_hidden_layers", 12);
  const positions = positiveInteger(config, "max_position_embeddings", 512);
  return {
    name,
    hidden,
    intermediate: positiveInteger(config, "intermediate_size", 3072),
    layers,
    heads,
    headWidth: headWidth(hidden, heads, "hidden_size, num_attention_heads"),
    positions,
    tokenTypes: positiveInteger(config, "type_vocab_size", 2),
    epsilon: positiveNumber(config, "layer_norm_eps", 1e-12),
    activation: readActivation(config, "hidden_act", "gelu"),
    ...(padding === undefined ? {} : { padding }),
    defaults: {
      modelType: name,
      head: {
        kind: headKind(config, { sequence: "ForSequenceClassification", token: "ForTokenClassification" }),
        classes: classes(config),
      },
      vocabulary: positiveInteger(config, "vocab_size", name === "bert" ? 30522 : 50265),
      hidden,
      layers,
      maximumLength: padding === undefined ? positions : positions - padding - 1,
      limitsLength: true,
      ...specialTokens(config),
      ...(present(config, "pad_token_id") === undefined && padding !== undefined ? { padToken: padding } : {}),
    },
  };
}
