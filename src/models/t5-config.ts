/** What the config of T5 says. */
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
import type { ModelConfig, ModelDefaults } from "./model.ts";
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
  headKind(config, { decoder: "T5ForConditionalGeneration" });
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
