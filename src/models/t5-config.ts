/** What the configs of T5 and mT5 say. */
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
import { headKind } from "./head.ts";
import type { HeadNames, ModelConfig, ModelDefaults } from "./model.ts";
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

export const t5Heads: HeadNames = { decoder: "T5ForConditionalGeneration" };

/** What configs of each family have where they say nothing. */
const sizes: Readonly<
  Record<
    string,
    {
      readonly model: number;
      readonly inner: number;
      readonly layers: number;
      readonly heads: number;
      readonly vocabulary: number;
      readonly feedForward: string;
    }
  >
> = {
  t5: { model: 512, inner: 2048, layers: 6, heads: 8, vocabulary: 32128, feedForward: "relu" },
  mt5: { model: 512, inner: 1024, layers: 8, heads: 6, vocabulary: 250112, feedForward: "gated-gelu" },
};

/** Throws `MODEL-` errors for what is missing, malformed or not built; warns where a field is not honoured. */
export function readT5Config(config: ModelConfig, sink: DiagnosticSink): T5Settings {
  requirePlainWeights(config);
  headKind(config, t5Heads);
  const modelType = text(config, "model_type", "t5");
  const { model, inner: width, layers: depth, heads, vocabulary: tokens, feedForward: kind } = sizes[modelType]!;
  warnOfDropout(config, ["dropout_rate"], sink);
  const hidden = positiveInteger(config, "d_model", model);
  const layers = layerCount(config, "num_layers", depth);
  const vocabulary = positiveInteger(config, "vocab_size", tokens);
  const buckets = positiveInteger(config, "relative_attention_num_buckets", 32);
  wholeParts(buckets, 4, "relative_attention_num_buckets");
  const feedForward = text(config, "feed_forward_proj", kind);
  const gated = feedForward.startsWith("gated-");
  const named = gated ? feedForward.slice("gated-".length) : feedForward;
  const special = specialTokens(config);
  const padToken = special.padToken ?? 0;
  // mT5's classes never scale what the head reads; those of T5 do where the table is the head's.
  const scales = modelType === "t5" && config.scale_decoder_outputs !== false && config.tie_word_embeddings !== false;
  return {
    hidden,
    headWidth: positiveInteger(config, "d_kv", 64),
    inner: positiveInteger(config, "d_ff", width),
    heads: positiveInteger(config, "num_heads", heads),
    layers: { encoder: layers, decoder: layerCount(config, "num_decoder_layers", layers) },
    buckets,
    distance: positiveInteger(config, "relative_attention_max_distance", 128),
    epsilon: positiveNumber(config, "layer_norm_epsilon", 1e-6),
    // Gated models were trained with the approximation, whatever their configs call it.
    activation: activationNamed(feedForward === "gated-gelu" ? "gelu_new" : named, "feed_forward_proj"),
    gated,
    outputScale: scales ? hidden ** -0.5 : 1,
    startToken:
      present(config, "decoder_start_token_id") === undefined ? padToken : Number(config.decoder_start_token_id),
    padToken,
    defaults: {
      modelType,
      head: { kind: "decoder", classes: vocabulary },
      vocabulary,
      hidden,
      layers,
      maximumLength: positiveInteger(config, "n_positions", 512),
      ...special,
      padToken,
    },
  };
}
