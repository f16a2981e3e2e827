/**
 * The family bert, roberta, xlm-roberta, camembert, electra: embeddings of tokens, token types and positions, normalised; per layer attention in
 * both directions and MLP, each added to the stream and normalised behind the sum.
 */
import type { DiagnosticSink } from "../../ir/diagnostics.ts";
import { activate } from "../activation.ts";
import { requirePlainWeights, specialTokens, text } from "../config.ts";
import { activation, dropout, layersOf, only, positive, type Read, readFields, truth, whole } from "../fields.ts";
import { freshHead, headKind, headNames, rowLabels } from "../head.ts";
import { inTurn, predictions, spanHead, tokenHead } from "../heads.ts";
import { layerNorm, linear, type Unary, withBias, withMean } from "../layers.ts";
import type { HeadKind, ModelConfig } from "../model.ts";
import { block, type ModelFamily, type Module, type Names, silent } from "../module.ts";
import { firstToken, pooled } from "../pooling.ts";
import { headWidth } from "../shapes.ts";
import type { LayerRole, StackRole, StackSpec } from "../spec.ts";
import { type Head, modelOf, tableOf } from "../tree.ts";

/** What configs of each kind have where they say nothing. */
const sizes = {
  bert: { vocabulary: 30522, hidden: 768, inner: 3072, heads: 12, embedding: undefined },
  roberta: { vocabulary: 50265, hidden: 768, inner: 3072, heads: 12, embedding: undefined },
  electra: { vocabulary: 30522, hidden: 256, inner: 1024, heads: 4, embedding: 128 },
};

/** The first part of every path. */
type Name = keyof typeof sizes;

const schema = (name: Name) => ({
  ...{ vocab_size: whole(sizes[name].vocabulary), hidden_size: whole(sizes[name].hidden) },
  ...{ intermediate_size: whole(sizes[name].inner), num_attention_heads: whole(sizes[name].heads) },
  ...{ num_hidden_layers: layersOf(12), max_position_embeddings: whole(512), type_vocab_size: whole(2) },
  ...{ layer_norm_eps: positive(1e-12), hidden_act: activation("gelu"), tie_word_embeddings: truth(true) },
  ...{ position_embedding_type: only("absolute"), is_decoder: only(false), add_cross_attention: only(false) },
  ...{ hidden_dropout_prob: dropout, attention_probs_dropout_prob: dropout, classifier_dropout: dropout },
});

type Fields = Read<ReturnType<typeof schema>> & { readonly name: Name; readonly embedding_size: number };

const nameOf = (modelType: string): Name => (modelType === "bert" || modelType === "electra" ? modelType : "roberta");

function fieldsOf(config: ModelConfig, sink: DiagnosticSink): Fields {
  const name = nameOf(text(config, "model_type", "bert"));
  const c = readFields(schema(name), config, sink);
  const own = sizes[name].embedding;
  return { ...c, name, embedding_size: own === undefined ? c.hidden_size : whole(own)(config, "embedding_size", sink) };
}

const layerNames: Names<LayerRole> = {
  attention: {
    self: "attention",
    output: { dense: "attention output", LayerNorm: "sum attention", dropout: "silent" },
  },
  intermediate: { dense: "up", intermediate_act_fn: "silent" },
  output: { dense: "down", LayerNorm: "sum mlp", dropout: "silent" },
};

const words: Names<StackRole> = { word_embeddings: "embedding" };
const positions: Names<StackRole> = { position_embeddings: "positions" };
const types: Names<StackRole> = { token_type_embeddings: "token types" };
const end: Names<StackRole> = { LayerNorm: "embedding norm", dropout: "silent" };

function specOf(c: Fields, kind: HeadKind, config: ModelConfig): StackSpec {
  const { name, hidden_size: hidden, num_attention_heads: heads, embedding_size: width } = c;
  const norm = withMean(c.layer_norm_eps);
  const each = headWidth(hidden, heads, "hidden_size, num_attention_heads");
  const layer: StackSpec["layers"][number] = {
    ...{ names: layerNames, norm },
    attention: {
      names: { query: "query", key: "key", value: "value", dropout: "silent" },
      ...{ heads, keyHeads: heads, headWidth: each, scale: 1 / Math.sqrt(each) },
      ...{ bias: [withBias, withBias], closed: true },
    },
    mlp: { names: {}, inner: c.intermediate_size, activation: c.hidden_act, bias: withBias },
  };
  const pools = kind === "none" ? name !== "electra" : kind === "sequence" && name === "bert";
  // RoBERTa counts positions over tokens alone that are no padding, from behind the number of that one.
  const padToken = name === "roberta" ? (specialTokens(config).padToken ?? 1) : undefined;
  const offset = padToken === undefined ? 0 : padToken + 1;
  return {
    ...{ modelType: text(config, "model_type", "bert"), vocabulary: c.vocab_size, hidden, norm, ropes: {} },
    names: {
      path: [name],
      parts: {
        embeddings:
          name === "roberta"
            ? { ...words, ...types, ...end, ...positions }
            : { ...words, ...positions, ...types, ...end },
        ...{ embeddings_project: "project in", encoder: { layer: "layers" }, pooler: "pooler" },
      },
    },
    ...{ bothWays: true, tokenTypes: c.type_vocab_size, maximumLength: c.max_position_embeddings - offset },
    ...(padToken === undefined ? {} : { padToken }),
    positions: padToken === undefined ? { offset, counted: false } : { offset, counted: true, padToken },
    ...(width === hidden ? {} : { embeddingWidth: width, projection: { after: "norm", bias: true } }),
    ...(pools ? { pooler: { width: hidden, ...(kind === "none" ? {} : { fresh: freshHead(config) }) } } : {}),
    layers: Array.from({ length: c.num_hidden_layers }, () => layer),
  };
}

/** The layers of the head of masked tokens, and their names. */
function maskedHead(c: Fields, table: string | undefined): Head["modules"] {
  const { name, hidden_size: hidden, embedding_size: width, vocab_size: vocabulary, layer_norm_eps: epsilon } = c;
  if (name === "electra") {
    const generator_predictions = block(
      { activation: silent, LayerNorm: layerNorm(width, epsilon), dense: linear(hidden, width, true) },
      (modules, { builder }) =>
        (x: number) =>
          modules.LayerNorm(activate(builder, "gelu", modules.dense(x))),
    );
    return { generator_predictions, generator_lm_head: linear(width, vocabulary, true, { weight: table }) };
  }
  if (name === "bert") {
    const sizesOf = { hidden, embeddingWidth: width, vocabulary, epsilon, activation: c.hidden_act };
    return { cls: predictions({ ...sizesOf, table }) };
  }
  const shared = table === undefined ? {} : { bias: "lm_head.bias", weight: table };
  const lm_head = block(
    {
      ...{ dense: linear(hidden, hidden, true), layer_norm: layerNorm(hidden, epsilon) },
      decoder: linear(hidden, vocabulary, true, shared),
    },
    (modules, { builder }) =>
      (x: number) =>
        modules.decoder(modules.layer_norm(activate(builder, "gelu", modules.dense(x)))),
  );
  return { lm_head };
}

/** Classes of a row, from its first token through a layer, in RoBERTa and ELECTRA. */
function rowClassifier(name: Name, hidden: number, classes: number): Module<Unary> {
  const dense = linear(hidden, hidden, true);
  const ends = { dropout: silent, out_proj: linear(hidden, classes, true) };
  if (name === "roberta")
    return block(
      { dense, ...ends },
      (modules, place) => (stream) => modules.out_proj(pooled(place, modules.dense, stream)),
    );
  return block(
    { dense, activation: silent, ...ends },
    (modules, place) => (stream) =>
      modules.out_proj(activate(place.builder, "gelu", modules.dense(firstToken(place, stream)))),
  );
}

const heads: Readonly<Record<string, (c: Fields, spec: StackSpec, config: ModelConfig) => Head>> = {
  sequence: (c, _spec, config) => {
    const is = { kind: "sequence", ...rowLabels(config) } as const;
    if (c.name === "bert") {
      const modules = { dropout: silent, classifier: linear(c.hidden_size, is.classes, true) };
      return { modules, logits: ({ classifier }, { hidden, pooler }) => classifier!(pooler!(hidden)), is };
    }
    const modules = { classifier: rowClassifier(c.name, c.hidden_size, is.classes) };
    return { modules, logits: inTurn(modules), is };
  },
  token: (c, _spec, config) => tokenHead(c.hidden_size, config),
  span: (c) => spanHead(c.hidden_size),
  masked: (c, spec) => {
    const modules = maskedHead(c, c.tie_word_embeddings ? tableOf(spec) : undefined);
    return { modules, logits: inTurn(modules), is: { kind: "token", classes: c.vocab_size } };
  },
};

const kinds = headNames("sequence", "token", "masked", "span", "none");

export const bert: ModelFamily = {
  ...{ modelTypes: ["bert", "roberta", "xlm-roberta", "camembert", "electra"], layerFields: ["num_hidden_layers"] },
  heads: kinds,
  read: (config, sink) => {
    requirePlainWeights(config);
    const kind = headKind(config, kinds);
    const c = fieldsOf(config, sink);
    const spec = specOf(c, kind, config);
    const head = heads[kind]?.(c, spec, config);
    // Classes that came later list the head first.
    const isHeadFirst = head !== undefined && spec.modelType !== c.name;
    return modelOf(spec, isHeadFirst ? { ...head, modules: {}, before: head.modules } : head, config);
  },
  /** Files made from TensorFlow's checkpoints call gain and bias of a norm gamma and beta. */
  otherKeys: (key) => [
    key.replace(/LayerNorm\.weight$/, "LayerNorm.gamma").replace(/LayerNorm\.bias$/, "LayerNorm.beta"),
    key.replace(/^(cls\.predictions|lm_head)\.bias$/, "$1.decoder.bias"),
    key.replace(/^(cls\.predictions|lm_head)\.decoder\.bias$/, "$1.bias"),
  ],
};
