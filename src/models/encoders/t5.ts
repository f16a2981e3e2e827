/**
 * T5, mT5 and UMT5: an encoder and a decoder with RMSNorm before every part; attention without scaling, with scores by buckets of distances that the first
 * layer of a stack holds for all of them, or every one of its own.
 */
import { activationNamed } from "../activation.ts";
import { flag, notBuilt, present, requirePlainWeights, specialTokens, text } from "../config.ts";
import { encoderDecoder } from "../encoder-decoder.ts";
import { dropout, layersOf, positive, type Read, readFields, whole } from "../fields.ts";
import { headKind, headNames, rowLabels } from "../head.ts";
import { spanHead, tokenHead } from "../heads.ts";
import { linear, rms, type Unary, withoutBias } from "../layers.ts";
import type { HeadNames, ModelConfig } from "../model.ts";
import { block, type ModelFamily, type Module, ofHead, silent } from "../module.ts";
import { wholeParts } from "../shapes.ts";
import type { AttentionRole, AttentionSpec, LayerSpec, MlpSpec, StackSpec } from "../spec.ts";
import type { Head } from "../tree.ts";

const multilingual = { inner: 1024, layers: 8, heads: 6, vocabulary: 250112, feedForward: "gated-gelu" };

/** What configs of each family have where they say nothing. */
const sizes = {
  t5: { inner: 2048, layers: 6, heads: 8, vocabulary: 32128, feedForward: "relu" },
  mt5: multilingual,
  umt5: multilingual,
};

const schema = (name: keyof typeof sizes) => ({
  ...{
    vocab_size: whole(sizes[name].vocabulary),
    d_model: whole(512),
    d_kv: whole(64),
    d_ff: whole(sizes[name].inner),
  },
  ...{ num_layers: layersOf(sizes[name].layers), num_heads: whole(sizes[name].heads), n_positions: whole(512) },
  ...{ relative_attention_num_buckets: whole(32), relative_attention_max_distance: whole(128) },
  ...{ layer_norm_epsilon: positive(1e-6), dropout_rate: dropout },
});

type Fields = Read<ReturnType<typeof schema>>;

/** With a gate the MLP has two first layers, one of which gates the other. */
function mlpOf(config: ModelConfig, fallback: string, inner: number): MlpSpec {
  const kind = text(config, "feed_forward_proj", fallback);
  const isGated = flag(config, "is_gated_act", kind.startsWith("gated-"));
  // Gated models were trained with the approximation, whatever their configs call it.
  const called = kind === "gated-gelu" ? "gelu_new" : kind.replace(/^gated-/, "");
  const named = text(config, "dense_act_fn", called);
  const ends = { wo: "down", dropout: "silent", act: "silent" } as const;
  return {
    names: isGated ? { wi_0: "gate", wi_1: "up", ...ends } : { wi: "up", ...ends },
    ...{
      inner,
      activation: activationNamed(named, called === named ? "feed_forward_proj" : "dense_act_fn"),
      bias: withoutBias,
    },
  };
}

interface StackChoice {
  readonly name: "encoder" | "decoder";
  readonly modelType: string;
  readonly mlp: MlpSpec;
  readonly layers: number;
  /** Adapters can put keys in front of what it attends to in itself. */
  readonly isOpen: boolean;
}

function stackOf(c: Fields, { name, modelType, mlp, layers, isOpen }: StackChoice): StackSpec {
  const isEncoder = name === "encoder";
  const [norm, heads] = [rms(c.layer_norm_epsilon), c.num_heads];
  const part = { q: "query", k: "key", v: "value", o: "output" } as const;
  const attention = {
    ...{ names: part, heads, keyHeads: heads, headWidth: c.d_kv, bias: [withoutBias, withoutBias] },
    ...{ scale: 1, closed: true },
  } as const satisfies AttentionSpec;
  const scores = {
    kind: "buckets",
    ...{ buckets: c.relative_attention_num_buckets, distance: c.relative_attention_max_distance },
    bothWays: isEncoder,
  } as const satisfies AttentionSpec["scores"];
  const tabled: AttentionSpec["names"] = { ...part, relative_attention_bias: "score table" satisfies AttentionRole };
  const own = (names: AttentionSpec["names"]): AttentionSpec => ({ ...attention, scores, names, closed: !isOpen });
  const layer = (index: number): LayerSpec => ({
    names: {
      layer: {
        0: { SelfAttention: "attention", layer_norm: "before attention", dropout: "silent" },
        ...(isEncoder ? {} : { 1: { EncDecAttention: "cross", layer_norm: "before cross", dropout: "silent" } }),
        [isEncoder ? 1 : 2]: { DenseReluDense: "mlp", layer_norm: "before mlp", dropout: "silent" },
      },
    },
    ...{ norm, mlp, attention: own(index === 0 || modelType === "umt5" ? tabled : part) },
    ...(isEncoder ? {} : { cross: attention }),
  });
  return {
    ...{ modelType, vocabulary: c.vocab_size, hidden: c.d_model, maximumLength: c.n_positions, norm, ropes: {} },
    names: {
      path: [name],
      parts: { embed_tokens: "embedding", block: "layers", final_layer_norm: "norm", dropout: "silent" },
    },
    bothWays: isEncoder,
    layers: Array.from({ length: layers }, (_unused, index) => layer(index)),
  };
}

/** Whether what the head reads is scaled: as a field says, else where the table is the head's. mT5's classes never do. */
function scalesOutputs(config: ModelConfig): boolean {
  if (config.model_type === "mt5") return false;
  const { scale_decoder_outputs: said = config.tie_word_embeddings !== false } = config;
  return said !== null && flag(config, "scale_decoder_outputs", said === true);
}

const kinds: HeadNames = {
  decoder: "ForConditionalGeneration",
  ...headNames("sequence", "token", "span"),
  none: "EncoderModel",
};

/** The name of the module that holds the stacks, where it is not the whole model. */
const inner = "transformer";

/** How the layer of a head is drawn: by transformers' `_init_weights`. */
const drawn = (module: Module<Unary>, deviation: number, { initializer_factor: factor }: ModelConfig): Module<Unary> =>
  ofHead(module, { deviation: typeof factor === "number" && factor >= 0 ? factor * deviation : deviation });

/** The one token that ends a text, at which rows are read. Throws `MODEL-FEATURE`. */
function endToken(config: ModelConfig): number {
  const { eos_token_id: given = 1 } = config;
  const { endTokens } = specialTokens({ eos_token_id: given });
  if (endTokens.length === 1) return endTokens[0]!;
  throw notBuilt("eos_token_id", "one token, as rows are classified by what stands there", given);
}

const heads: Readonly<Record<string, (c: Fields, config: ModelConfig) => Head>> = {
  decoder: (c) => ({
    modules: { lm_head: linear(c.d_model, c.vocab_size, false) },
    logits: ({ lm_head }, { hidden }) => lm_head!(hidden),
    is: { kind: "decoder", classes: c.vocab_size },
  }),
  sequence: (c, config) => {
    const is = { kind: "sequence", ...rowLabels(config) } as const;
    const last = endToken(config);
    const layer = (out: number): Module<Unary> => drawn(linear(c.d_model, out, true), c.d_model ** -0.5, config);
    const classification_head = block(
      { dense: layer(c.d_model), dropout: silent, out_proj: layer(is.classes) },
      ({ dense, out_proj }, { builder }) =>
        (x: number) =>
          out_proj(builder.add("tanh", [dense(x)])),
    );
    return {
      ...{ modules: { classification_head }, is, top: inner, inEveryRow: last },
      logits: (modules, { hidden }, sequence) => modules.classification_head!(sequence.atLast(hidden, last)),
    };
  },
  token: (c, config) => {
    const { modules, ...head } = tokenHead(c.d_model, config);
    const { classifier, ...others } = modules as Record<string, Module<Unary>>;
    return { ...head, modules: { ...others, classifier: drawn(classifier!, 1, config) }, top: inner };
  },
  span: (c, config) => {
    const { modules, ...head } = spanHead(c.d_model);
    return { ...head, modules: { qa_outputs: drawn(modules.qa_outputs as Module<Unary>, c.d_model ** -0.5, config) } };
  },
};

export const t5: ModelFamily = {
  ...{ modelTypes: ["t5", "mt5", "umt5"], heads: kinds, layerFields: ["num_layers", "num_decoder_layers"] },
  read: (config, sink) => {
    requirePlainWeights(config);
    const kind = headKind(config, kinds);
    const modelType = text(config, "model_type", "t5") as keyof typeof sizes;
    const c = readFields(schema(modelType), config, sink);
    wholeParts(c.relative_attention_num_buckets, 4, "relative_attention_num_buckets");
    const mlp = mlpOf(config, sizes[modelType].feedForward, c.d_ff);
    const decoderLayers = layersOf(c.num_layers)(config, "num_decoder_layers", sink);
    const decoder = stackOf(c, {
      ...{ name: "decoder", modelType, mlp, layers: decoderLayers },
      // transformers' other heads take no keys of a prefix.
      isOpen: kind === "decoder",
    });
    const padToken = specialTokens(config).padToken ?? 0;
    const start = present(config, "decoder_start_token_id");
    const scaled = kind === "decoder" && scalesOutputs(config);
    const spec = {
      ...{ table: "shared", padToken, startToken: start === undefined ? padToken : Number(start) },
      encoder: stackOf(c, { name: "encoder", modelType, mlp, layers: c.num_layers, isOpen: false }),
      decoder: scaled ? { ...decoder, outputScale: c.d_model ** -0.5 } : decoder,
    };
    const readsEncoder = kind === "token" || kind === "none";
    return encoderDecoder(readsEncoder ? { ...spec, decoder: undefined } : spec, heads[kind]?.(c, config), config);
  },
  untied: (config) => (config.model_type === "mt5" ? {} : { scale_decoder_outputs: scalesOutputs(config) }),
  /** The tables of both stacks, and the head unless it has one of its own, are one tensor of the file; the stacks of another head may stand in a module. */
  otherKeys: (key) => [
    ...(sharedKey.test(key) ? [key.replace(sharedKey, "$1shared.weight")] : []),
    ...(key.startsWith(`${inner}.`)
      ? []
      : [`${inner}.${key}`, `${inner}.${key}`.replace(sharedKey, "$1shared.weight")]),
  ],
};

const sharedKey = /^(transformer\.)?(?:lm_head|(?:en|de)coder\.embed_tokens)\.weight$/;
