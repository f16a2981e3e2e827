/** What the configs of llama, mistral and qwen2 say, in one form. */
import { type DiagnosticSink, WebpeftError } from "../ir/diagnostics.ts";
import { type Activation, readActivation } from "./activation.ts";
import {
  flag,
  layerCount,
  positiveInteger,
  positiveNumber,
  present,
  requirePlainCausalModel,
  specialTokens,
  text,
  texts,
  warnOfDropout,
} from "./config.ts";
import type { ModelConfig, ModelDefaults } from "./model.ts";
import { type RopeSettings, readRope } from "./rope.ts";

export interface LlamaSettings {
  readonly vocabulary: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly headWidth: number;
  readonly epsilon: number;
  readonly activation: Activation;
  readonly queryKeyValueBias: boolean;
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
  readonly biasFields: BiasFields;
  readonly tied: boolean;
  readonly rope: RopeSettings;
  /** Sliding window of every layer; undefined where a layer sees everything before it. */
  readonly windows: readonly (number | undefined)[];
  readonly defaults: ModelDefaults;
}

/** Fields of the config that say whether the layers of a block have biases; none where the class has it fixed. */
interface BiasFields {
  readonly attention?: string;
  readonly mlp?: string;
}

const biasFields: Readonly<Record<string, BiasFields>> = {
  llama: { attention: "attention_bias", mlp: "mlp_bias" },
};

/** Key heads of a config that does not name them, as the classes of transformers have it. */
const defaultKeyValueHeads: Readonly<Record<string, number>> = { mistral: 8, qwen2: 32 };

/** Throws `MODEL-` errors for what is missing, malformed or not built; warns where a field is not honoured. */
export function readLlamaConfig(config: ModelConfig, sink: DiagnosticSink): LlamaSettings {
  requirePlainCausalModel(config);
  warnOfDropout(config, ["attention_dropout"], sink);
  const modelType = text(config, "model_type", "llama");
  const hidden = positiveInteger(config, "hidden_size");
  const layers = layerCount(config, "num_hidden_layers");
  const heads = positiveInteger(config, "num_attention_heads");
  const vocabulary = positiveInteger(config, "vocab_size");
  const fields = biasFields[modelType] ?? {};
  const isOn = (field: string | undefined): boolean => field !== undefined && flag(config, field, false);
  const bias = isOn(fields.attention);
  return {
    vocabulary,
    hidden,
    intermediate: positiveInteger(config, "intermediate_size"),
    layers,
    heads,
    ...readHeads(config, hidden, heads, defaultKeyValueHeads[modelType] ?? heads),
    epsilon: positiveNumber(config, "rms_norm_eps", 1e-6),
    activation: readActivation(config, "hidden_act", "silu"),
    queryKeyValueBias: bias || modelType === "qwen2",
    outputBias: bias,
    mlpBias: isOn(fields.mlp),
    biasFields: fields,
    tied: flag(config, "tie_word_embeddings", false),
    rope: readRope(config),
    windows: readWindows(config, modelType, layers),
    defaults: {
      modelType,
      head: { kind: "causal", classes: vocabulary },
      vocabulary,
      hidden,
      layers,
      maximumLength: positiveInteger(config, "max_position_embeddings", modelType === "llama" ? 2048 : 32768),
      ...specialTokens(config),
    },
  };
}

function readHeads(
  config: ModelConfig,
  hidden: number,
  heads: number,
  defaultKeyValue: number,
): Pick<LlamaSettings, "keyHeads" | "headWidth"> {
  const keyHeads = positiveInteger(config, "num_key_value_heads", defaultKeyValue);
  if (heads % keyHeads !== 0) {
    throw new WebpeftError("MODEL-HEADS", {
      message: "the query heads cannot be shared out among the key heads",
      where: "config.json: num_key_value_heads",
      expected: `a divisor of num_attention_heads ${heads}`,
      got: String(keyHeads),
    });
  }
  const headWidth = positiveInteger(config, "head_dim", Math.floor(hidden / heads));
  const named = present(config, "head_dim") !== undefined;
  if (headWidth % 2 !== 0 || (!named && hidden % heads !== 0)) {
    throw new WebpeftError("MODEL-HEADS", {
      message: "the width of a head does not fit a rotary embedding",
      where: named ? "config.json: head_dim" : "config.json: hidden_size, num_attention_heads",
      expected: "an even whole number",
      got: named ? String(headWidth) : `${hidden} / ${heads}`,
    });
  }
  return { keyHeads, headWidth };
}

/** Mistral slides in every layer; qwen2 in those that `layer_types` or `max_window_layers` name, if at all; llama never. */
function readWindows(config: ModelConfig, modelType: string, layers: number): readonly (number | undefined)[] {
  const everywhere = Array.from({ length: layers }, () => undefined);
  if (modelType === "llama") return everywhere;
  const uses =
    modelType === "mistral"
      ? present(config, "sliding_window") !== undefined
      : flag(config, "use_sliding_window", false);
  if (!uses) return everywhere;
  const window = positiveInteger(config, "sliding_window", 4096);
  if (modelType === "mistral") return everywhere.map(() => window);
  const types = readLayerTypes(config, layers);
  return types.map((type) => (type === "sliding_attention" ? window : undefined));
}

function readLayerTypes(config: ModelConfig, layers: number): readonly string[] {
  const first = present(config, "max_window_layers") === 0 ? 0 : positiveInteger(config, "max_window_layers", 28);
  const byNumber = Array.from({ length: layers }, (_unused, i) =>
    i >= first ? "sliding_attention" : "full_attention",
  );
  const types = texts(config, "layer_types") ?? byNumber;
  const known = types.every((type) => type === "sliding_attention" || type === "full_attention");
  if (types.length !== layers || !known) {
    throw new WebpeftError("MODEL-FIELD", {
      message: "the field layer_types of config.json is not usable",
      where: "config.json: layer_types",
      expected: `${layers} entries, each full_attention or sliding_attention`,
      got: `${types.length} entries: ${[...new Set(types)].join(", ")}`,
    });
  }
  return types;
}
