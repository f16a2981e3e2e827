/** What the configs of bert, roberta and their kin say, in one form. */
import type { DiagnosticSink } from "../ir/diagnostics.ts";
import { type Activation, readActivation } from "./activation.ts";
import {
  flag,
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
import { freshHead, headKind, headNames, labelCount, rowLabels } from "./head.ts";
import type { FreshHead, HeadKind, ModelConfig, ModelDefaults, ModelHead } from "./model.ts";
import { headWidth } from "./shapes.ts";

export interface BertSettings {
  /** The first part of every path. */
  readonly name: "bert" | "roberta" | "electra";
  /** Width of the tables, where it is not that of the stream. */
  readonly embeddingWidth: number;
  readonly kind: HeadKind;
  readonly fresh: FreshHead;
  /** The head that gives the masked tokens has the table's weight. */
  readonly tied: boolean;
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

export const bertHeads = headNames("sequence", "token", "masked", "span", "none");

/** What the logits are of. */
function headOf(kind: HeadKind, config: ModelConfig, sizes: { vocabulary: number; hidden: number }): ModelHead {
  if (kind === "sequence") return { kind, ...rowLabels(config) };
  if (kind === "masked") return { kind: "token", classes: sizes.vocabulary };
  if (kind === "span") return { kind, classes: 2 };
  return kind === "none" ? { kind, classes: sizes.hidden } : { kind: "token", classes: labelCount(config) };
}

/** Throws `MODEL-` errors for what is missing, malformed or not built; warns where a field is not honoured. */
export function readBertConfig(config: ModelConfig, sink: DiagnosticSink): BertSettings {
  requirePlainWeights(config);
  warnOfDropout(config, ["hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"], sink);
  requireValue(config, "position_embedding_type", "absolute");
  requireValue(config, "is_decoder", false);
  requireValue(config, "add_cross_attention", false);
  const modelType = text(config, "model_type", "bert");
  const name = modelType === "bert" || modelType === "electra" ? modelType : "roberta";
  const kind = headKind(config, bertHeads);
  const vocabulary = positiveInteger(config, "vocab_size", name === "roberta" ? 50265 : 30522);
  const padding = name === "roberta" ? (specialTokens(config).padToken ?? 1) : undefined;
  const isElectra = name === "electra";
  const hidden = positiveInteger(config, "hidden_size", isElectra ? 256 : 768);
  const heads = positiveInteger(config, "num_attention_heads", isElectra ? 4 : 12);
  const layers = layerCount(config, "num_hidden_layers", 12);
  const positions = positiveInteger(config, "max_position_embeddings", 512);
  return {
    ...{ name, kind, fresh: freshHead(config), tied: flag(config, "tie_word_embeddings", true) },
    hidden,
    embeddingWidth: isElectra ? positiveInteger(config, "embedding_size", 128) : hidden,
    intermediate: positiveInteger(config, "intermediate_size", isElectra ? 1024 : 3072),
    layers,
    heads,
    headWidth: headWidth(hidden, heads, "hidden_size, num_attention_heads"),
    positions,
    tokenTypes: positiveInteger(config, "type_vocab_size", 2),
    epsilon: positiveNumber(config, "layer_norm_eps", 1e-12),
    activation: readActivation(config, "hidden_act", "gelu"),
    ...(padding === undefined ? {} : { padding }),
    defaults: {
      modelType,
      head: headOf(kind, config, { vocabulary, hidden }),
      vocabulary,
      hidden,
      layers,
      maximumLength: padding === undefined ? positions : positions - padding - 1,
      limitsLength: true,
      ...specialTokens(config),
      ...(present(config, "pad_token_id") === undefined && padding !== undefined ? { padToken: padding } : {}),
    },
  };
}
