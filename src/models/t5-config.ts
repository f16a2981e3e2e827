/** What the config of T5 says, and its modules as `named_modules()` of transformers 5 lists them. */
import type { DiagnosticSink } from "../ir/diagnostics.ts";
import { type Activation, activationNamed } from "./activation.ts";
import {
  layerCount,
  positiveInteger,
  positiveNumber,
  present,
  requirePlainWeights,
  specialTokens,
  text,
  warnOfDropout,
} from "./config.ts";
import { requireArchitecture } from "./head.ts";
import type { ModelConfig, ModelDefaults, ModuleInfo } from "./model.ts";
import { attentionModule, container, embedding, linear, norm } from "./modules.ts";
import { wholeParts } from "./shapes.ts";

export interface T5Settings {
  readonly hidden: number;
  readonly headWidth: number;
  readonly inner: number;
  readonly heads: number;
  readonly layers: { readonly encoder: number; readonly decoder: number };
  readonly buckets: number;
  readonly distance: number;
  readonly epsilon: number;
  readonly activation: Activation;
  /** The MLP has two first layers, one of which gates the other. */
  readonly gated: boolean;
  /** Factor of what the head reads. */
  readonly outputScale: number;
  readonly startToken: number;
  readonly padToken: number;
  readonly defaults: ModelDefaults;
}

/** Throws `MODEL-` errors for what is missing, malformed or not built; warns where a field is not honoured. */
export function readT5Config(config: ModelConfig, sink: DiagnosticSink): T5Settings {
  requirePlainWeights(config);
  requireArchitecture(config, "T5ForConditionalGeneration");
  warnOfDropout(config, ["dropout_rate"], sink);
  const hidden = positiveInteger(config, "d_model", 512);
  const layers = layerCount(config, "num_layers", 6);
  const vocabulary = positiveInteger(config, "vocab_size", 32128);
  const buckets = positiveInteger(config, "relative_attention_num_buckets", 32);
  wholeParts(buckets, 4, "relative_attention_num_buckets");
  const feedForward = text(config, "feed_forward_proj", "relu");
  const gated = feedForward.startsWith("gated-");
  const named = gated ? feedForward.slice("gated-".length) : feedForward;
  const tokens = specialTokens(config);
  const padToken = tokens.padToken ?? 0;
  return {
    hidden,
    headWidth: positiveInteger(config, "d_kv", 64),
    inner: positiveInteger(config, "d_ff", 2048),
    heads: positiveInteger(config, "num_heads", 8),
    layers: { encoder: layers, decoder: layerCount(config, "num_decoder_layers", layers) },
    buckets,
    distance: positiveInteger(config, "relative_attention_max_distance", 128),
    epsilon: positiveNumber(config, "layer_norm_epsilon", 1e-6),
    // Gated models were trained with the approximation, whatever their configs call it.
    activation: activationNamed(feedForward === "gated-gelu" ? "gelu_new" : named, "feed_forward_proj"),
    gated,
    outputScale: config.scale_decoder_outputs === false || config.tie_word_embeddings === false ? 1 : hidden ** -0.5,
    startToken:
      present(config, "decoder_start_token_id") === undefined ? padToken : Number(config.decoder_start_token_id),
    padToken,
    defaults: {
      modelType: "t5",
      head: { kind: "decoder", classes: vocabulary },
      vocabulary,
      hidden,
      layers,
      maximumLength: positiveInteger(config, "n_positions", 512),
      ...tokens,
      padToken,
    },
  };
}

export type StackName = "encoder" | "decoder";

export const blockPath = (stack: StackName, layer: number): string => `${stack}.block.${layer}.layer`;

function attentionModules(settings: T5Settings, path: string, name: string, relative: boolean): ModuleInfo[] {
  const { hidden, heads, headWidth, buckets } = settings;
  const attention = `${path}.${name}`;
  const width = heads * headWidth;
  const project = ["q", "k", "v"].map((part) => linear(`${attention}.${part}`, hidden, width, false));
  return [
    container(path),
    attentionModule(attention),
    ...project,
    linear(`${attention}.o`, width, hidden, false),
    ...(relative ? [embedding(`${attention}.relative_attention_bias`, buckets, heads)] : []),
    norm(`${path}.layer_norm`, hidden, false),
    container(`${path}.dropout`),
  ];
}

function feedForwardModules({ hidden, inner, gated }: T5Settings, path: string): ModuleInfo[] {
  const dense = `${path}.DenseReluDense`;
  const first = gated ? ["wi_0", "wi_1"] : ["wi"];
  return [
    container(path),
    container(dense),
    ...first.map((name) => linear(`${dense}.${name}`, hidden, inner, false)),
    linear(`${dense}.wo`, inner, hidden, false),
    container(`${dense}.dropout`),
    container(`${dense}.act`),
    norm(`${path}.layer_norm`, hidden, false),
    container(`${path}.dropout`),
  ];
}

function blockModules(settings: T5Settings, stack: StackName, layer: number): ModuleInfo[] {
  const path = blockPath(stack, layer);
  const crosses = stack === "decoder";
  return [
    container(`${stack}.block.${layer}`),
    container(path),
    ...attentionModules(settings, `${path}.0`, "SelfAttention", layer === 0),
    ...(crosses ? attentionModules(settings, `${path}.1`, "EncDecAttention", false) : []),
    ...feedForwardModules(settings, `${path}.${crosses ? 2 : 1}`),
  ];
}

function stackModules(settings: T5Settings, stack: StackName): ModuleInfo[] {
  const { hidden, layers, defaults } = settings;
  return [
    container(stack),
    embedding(`${stack}.embed_tokens`, defaults.vocabulary, hidden),
    container(`${stack}.block`),
    ...Array.from({ length: layers[stack] }, (_unused, layer) => blockModules(settings, stack, layer)).flat(),
    norm(`${stack}.final_layer_norm`, hidden, false),
    container(`${stack}.dropout`),
  ];
}

export function t5Modules(settings: T5Settings): ModuleInfo[] {
  const { hidden, defaults } = settings;
  return [
    embedding("shared", defaults.vocabulary, hidden),
    ...stackModules(settings, "encoder"),
    ...stackModules(settings, "decoder"),
    linear("lm_head", hidden, defaults.vocabulary, false),
  ];
}
