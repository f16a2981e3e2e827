/** What the configs of bert and roberta say, in one form, and their modules as `named_modules()` of transformers 5 lists them. */
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
import { classes, classifierKind } from "./head.ts";
import type { ModelConfig, ModelDefaults, ModuleInfo } from "./model.ts";
import { attentionModule, container, embedding, linear, norm } from "./modules.ts";
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
      head: { kind: classifierKind(config, "sequence"), classes: classes(config) },
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

export const layerPath = ({ name }: BertSettings, layer: number): string => `${name}.encoder.layer.${layer}`;

function embeddingModules({ name, hidden, positions, tokenTypes, defaults }: BertSettings): ModuleInfo[] {
  const path = `${name}.embeddings`;
  const words = embedding(`${path}.word_embeddings`, defaults.vocabulary, hidden);
  const types = embedding(`${path}.token_type_embeddings`, tokenTypes, hidden);
  const places = embedding(`${path}.position_embeddings`, positions, hidden);
  const end = [norm(`${path}.LayerNorm`, hidden, true), container(`${path}.dropout`)];
  return [container(path), words, ...(name === "bert" ? [places, types, ...end] : [types, ...end, places])];
}

function layerModules(settings: BertSettings, layer: number): ModuleInfo[] {
  const path = layerPath(settings, layer);
  const { hidden, intermediate } = settings;
  const self = `${path}.attention.self`;
  return [
    container(path),
    container(`${path}.attention`),
    attentionModule(self),
    linear(`${self}.query`, hidden, hidden, true),
    linear(`${self}.key`, hidden, hidden, true),
    linear(`${self}.value`, hidden, hidden, true),
    container(`${self}.dropout`),
    container(`${path}.attention.output`),
    linear(`${path}.attention.output.dense`, hidden, hidden, true),
    norm(`${path}.attention.output.LayerNorm`, hidden, true),
    container(`${path}.attention.output.dropout`),
    container(`${path}.intermediate`),
    linear(`${path}.intermediate.dense`, hidden, intermediate, true),
    container(`${path}.intermediate.intermediate_act_fn`),
    container(`${path}.output`),
    linear(`${path}.output.dense`, intermediate, hidden, true),
    norm(`${path}.output.LayerNorm`, hidden, true),
    container(`${path}.output.dropout`),
  ];
}

function headModules({ name, hidden, defaults }: BertSettings): ModuleInfo[] {
  const { kind, classes: count } = defaults.head;
  const classifier = linear("classifier", hidden, count, true);
  if (kind === "token") return [container("dropout"), classifier];
  if (name === "bert") {
    const pooler = "bert.pooler";
    const pooling = [
      container(pooler),
      linear(`${pooler}.dense`, hidden, hidden, true),
      container(`${pooler}.activation`),
    ];
    return [...pooling, container("dropout"), classifier];
  }
  return [
    container("classifier"),
    linear("classifier.dense", hidden, hidden, true),
    container("classifier.dropout"),
    linear("classifier.out_proj", hidden, count, true),
  ];
}

export function bertModules(settings: BertSettings): ModuleInfo[] {
  const { name, layers } = settings;
  return [
    container(name),
    ...embeddingModules(settings),
    container(`${name}.encoder`),
    container(`${name}.encoder.layer`),
    ...Array.from({ length: layers }, (_unused, layer) => layerModules(settings, layer)).flat(),
    ...headModules(settings),
  ];
}
