/** What decoders that came after LLaMA have in common, as a spec that each of them changes. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { Activation } from "../activation.ts";
import { positiveInteger, requirePlainWeights, texts } from "../config.ts";
import { activation, layersOf, optional, type Read, readFields, type Schema, truth, whole } from "../fields.ts";
import { headKind, headNames } from "../head.ts";
import { decoderHeads } from "../heads.ts";
import { type Bias, type NormSpec, withoutBias } from "../layers.ts";
import type { HeadNames, ModelConfig } from "../model.ts";
import type { ModelFamily, Names } from "../module.ts";
import type { RopeSettings } from "../rope-config.ts";
import type {
  AttentionRole,
  AttentionSpec,
  DecoderSpec,
  LayerRole,
  LayerSpec,
  MlpRole,
  MlpSpec,
  MoeSpec,
} from "../spec.ts";
import { modelOf } from "../tree.ts";

/** The sizes of a decoder, which a config must name. */
export const sizes = {
  vocab_size: whole(),
  hidden_size: whole(),
  intermediate_size: whole(),
  num_hidden_layers: layersOf(),
  num_attention_heads: whole(),
  num_key_value_heads: optional(whole()),
  head_dim: optional(whole()),
  hidden_act: activation("silu"),
  max_position_embeddings: whole(2048),
  tie_word_embeddings: truth(false),
};

interface FamilyOptions extends Pick<ModelFamily, "otherKeys"> {
  readonly layerField?: string;
  /** How the name of the class with a head for causal language modelling ends. */
  readonly architecture?: string;
}

/** A bias that a field of the config switches on. */
export const switched = <N extends string>(field: N, fields: Readonly<Record<N, boolean>>): Bias => ({
  has: fields[field],
  field,
});

/** The same for queries, keys and values as for the output. */
export const both = (bias: Bias): readonly [Bias, Bias] => [bias, bias];

/** Families with a class that finds spans, and its name for the first module of the decoder's path where that is another one. */
const spanModels: Readonly<Record<string, string | undefined>> = {
  ...{ llama: "transformer", ministral: "transformer", qwen2: "transformer", qwen3: "transformer" },
  ...{ smollm3: "transformer", qwen3_moe: "transformer" },
  ...{ seed_oss: "transformer", arcee: "transformer", exaone4: "transformer", nemotron: "transformer" },
  ...{
    mistral: undefined,
    mixtral: undefined,
    ministral3: undefined,
    qwen2_moe: undefined,
    gpt2: undefined,
    gpt_neox: undefined,
    opt: undefined,
    falcon: undefined,
    bloom: undefined,
  },
};

/** One family: the fields of its config beside `model_type`, and what they describe. */
export const decoderFamily = <S extends Schema>(
  modelType: string,
  schema: S,
  describe: (fields: Read<S>, config: ModelConfig) => Omit<DecoderSpec, "modelType">,
  { layerField = "num_hidden_layers", architecture = "ForCausalLM", ...more }: FamilyOptions = {},
): ModelFamily => {
  const spans = Object.hasOwn(spanModels, modelType) ? (["span"] as const) : [];
  const heads: HeadNames = { causal: architecture, ...headNames("sequence", "token", ...spans, "none") };
  return {
    ...more,
    heads,
    modelTypes: [modelType],
    layerFields: [layerField],
    read: (config, sink) => {
      requirePlainWeights(config);
      const kind = headKind(config, heads) as keyof typeof decoderHeads | "none";
      const { names, ...described } = describe(readFields(schema, config, sink), config);
      const spec = { modelType, ...described, names: { ...names, aboveSpans: spanModels[modelType] } };
      return modelOf(spec, kind === "none" ? undefined : decoderHeads[kind](spec, config), config);
    },
  };
};

// Names and order of modules as `named_modules()` has them.

export const modelNames: DecoderSpec["names"] = {
  path: ["model"],
  parts: { embed_tokens: "embedding", layers: "layers", norm: "norm", rotary_emb: "rope" },
  head: "lm_head",
};

export const layerNames: Names<LayerRole> = {
  self_attn: "attention",
  mlp: "mlp",
  input_layernorm: "before attention",
  post_attention_layernorm: "before mlp",
};

export const attentionNames: Names<AttentionRole> = {
  q_proj: "query",
  k_proj: "key",
  v_proj: "value",
  o_proj: "output",
};

export const normedAttentionNames: Names<AttentionRole> = {
  ...attentionNames,
  q_norm: "query norm",
  k_norm: "key norm",
};

export const mlpNames: Names<MlpRole> = { gate_proj: "gate", up_proj: "up", down_proj: "down", act_fn: "silent" };

type Sizes = {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads?: number | undefined;
  readonly head_dim?: number | undefined;
  readonly max_position_embeddings: number;
  readonly hidden_act?: Activation;
  readonly tie_word_embeddings: boolean;
};

export interface HeadSizes {
  readonly heads: number;
  readonly keyHeads: number;
  readonly headWidth: number;
}

/** Heads and their width. Throws `MODEL-HEADS` when they do not share out. */
export function headSizes(
  { num_attention_heads: heads, num_key_value_heads, head_dim, hidden_size }: Sizes,
  turnsWhole: boolean,
): HeadSizes {
  const keyHeads = num_key_value_heads ?? heads;
  if (heads % keyHeads !== 0)
    throw new WebpeftError("MODEL-HEADS", {
      message: "the query heads cannot be shared out among the key heads",
      where: "config.json: num_key_value_heads",
      expected: `a divisor of num_attention_heads ${heads}`,
      got: String(keyHeads),
    });
  const headWidth = head_dim ?? Math.floor(hidden_size / heads);
  const fits = head_dim !== undefined || hidden_size % heads === 0;
  if (fits && (!turnsWhole || headWidth % 2 === 0)) return { heads, keyHeads, headWidth };
  throw new WebpeftError("MODEL-HEADS", {
    message: "the width of a head does not fit a rotary embedding",
    where: head_dim === undefined ? "config.json: hidden_size, num_attention_heads" : "config.json: head_dim",
    expected: "an even whole number",
    got: head_dim === undefined ? `${hidden_size} / ${heads}` : String(headWidth),
  });
}

/** What a family has otherwise than LLaMA. */
export interface Changes extends Partial<Omit<DecoderSpec, "layers" | "norm" | "ropes">> {
  readonly ropes: Readonly<Record<string, RopeSettings>>;
  readonly norm: NormSpec;
  readonly attention?: Partial<AttentionSpec>;
  readonly mlp?: Partial<MlpSpec>;
  readonly layer?: Partial<LayerSpec>;
  /** What stands in the place of a layer's MLP, if anything does. */
  readonly mixture?: (index: number) => MoeSpec | undefined;
  /** What differs from layer to layer. */
  readonly at?: (index: number) => Partial<AttentionSpec>;
}

/** LLaMA's spec of these sizes with the changes. */
export function gatedDecoder(
  fields: Sizes,
  { attention, mlp, layer, mixture, at, norm, ropes, ...more }: Changes,
): Omit<DecoderSpec, "modelType"> {
  const heads = headSizes(
    fields,
    Object.values(ropes).some(({ fraction }) => fraction === 1),
  );
  const [rope] = Object.keys(ropes);
  const one = (index: number): LayerSpec => ({
    ...{ names: layerNames, norm },
    attention: {
      ...{
        names: attentionNames,
        ...heads,
        bias: [withoutBias, withoutBias],
        scale: 1 / Math.sqrt(heads.headWidth),
        rope,
      },
      ...attention,
      ...at?.(index),
    },
    mlp: mixture?.(index) ?? {
      ...{
        names: mlpNames,
        inner: fields.intermediate_size,
        activation: fields.hidden_act ?? "silu",
        bias: withoutBias,
      },
      ...mlp,
    },
    ...layer,
  });
  return {
    ...{ vocabulary: fields.vocab_size, hidden: fields.hidden_size, maximumLength: fields.max_position_embeddings },
    ...{ names: modelNames, norm, ropes, head: { tied: fields.tie_word_embeddings } },
    layers: Array.from({ length: fields.num_hidden_layers }, (_unused, index) => one(index)),
    ...more,
  };
}

export type LayerType = "full_attention" | "sliding_attention";

/** The type of every layer; of the fallback where the config names none. Throws `MODEL-FIELD` for others than these two. */
export function layerTypes(
  config: ModelConfig,
  layers: number,
  fallback: (index: number) => boolean,
): readonly LayerType[] {
  const types =
    texts(config, "layer_types") ??
    Array.from({ length: layers }, (_unused, i) => (fallback(i) ? "sliding_attention" : "full_attention"));
  const known = types.every((type) => type === "sliding_attention" || type === "full_attention");
  if (types.length === layers && known) return types as readonly LayerType[];
  throw new WebpeftError("MODEL-FIELD", {
    message: "the field layer_types of config.json is not usable",
    where: "config.json: layer_types",
    expected: `${layers} entries, each full_attention or sliding_attention`,
    got: `${types.length} entries: ${[...new Set(types)].join(", ")}`,
  });
}

/** All layers slide but every so many, as an older field says; not read where `layer_types` says it. */
export const allButEvery =
  (config: ModelConfig, layers: number) =>
  (index: number): boolean =>
    (index + 1) % positiveInteger(config, "sliding_window_pattern", layers) !== 0;

/** A window in the layers of the sliding type. */
export const slides =
  (types: readonly LayerType[], window: number | undefined) =>
  (index: number): Pick<AttentionSpec, "window"> =>
    types[index] === "sliding_attention" ? { window } : {};
