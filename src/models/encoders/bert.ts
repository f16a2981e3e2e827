/**
 * The family bert, roberta, xlm-roberta, camembert, electra, mpnet: embeddings of tokens, token types and positions, normalised; per layer attention in
 * both directions and MLP, each added to the stream and normalised behind the sum.
 */
import type { DiagnosticSink } from "../../ir/diagnostics.ts";
import { activate } from "../activation.ts";
import { requirePlainWeights, requireValue, specialTokens, text } from "../config.ts";
import { activation, dropout, layersOf, only, positive, type Read, readFields, truth, whole } from "../fields.ts";
import { freshHead, headKind, headNames, rowLabels } from "../head.ts";
import { inTurn, predictions, spanHead, tokenHead } from "../heads.ts";
import { layerNorm, linear, type Unary, withBias, withMean } from "../layers.ts";
import type { HeadKind, ModelConfig } from "../model.ts";
import { block, type ModelFamily, type Module, type Names, silent } from "../module.ts";
import { firstToken, pooled } from "../pooling.ts";
import type { ScoreSpec } from "../scores.ts";
import { headWidth } from "../shapes.ts";
import type { AttentionRole, LayerRole, StackRole, StackSpec } from "../spec.ts";
import { type Head, modelOf, tableOf } from "../tree.ts";

const words: Names<StackRole> = { word_embeddings: "embedding" };
const positions: Names<StackRole> = { position_embeddings: "positions" };
const types: Names<StackRole> = { token_type_embeddings: "token types" };
const end: Names<StackRole> = { LayerNorm: "embedding norm", dropout: "silent" };

const selfNames: Names<AttentionRole> = { query: "query", key: "key", value: "value", dropout: "silent" };
const attentionNames: Names<LayerRole> = {
  self: "attention",
  output: { dense: "attention output", LayerNorm: "sum attention", dropout: "silent" },
};

/** One kind of the family: what its configs have where they say nothing, and its names. */
interface Kin {
  readonly vocabulary: number;
  readonly hidden: number;
  readonly inner: number;
  readonly heads: number;
  /** Width of the tables, where it is not that of the stream. */
  readonly embedding?: number;
  readonly embeddings: Names<StackRole>;
  readonly attention: Names<LayerRole>;
  readonly self: Names<AttentionRole>;
  /** Models with these heads have a layer on the first token. */
  readonly pools: readonly HeadKind[];
  /** Positions are counted over tokens that are not this one, which stands for padding, or another one that the config names. */
  readonly padding?: { readonly token: number; readonly named: boolean };
  /** The layers share scores by distance. */
  readonly scores?: ScoreSpec & { readonly kind: "buckets" };
}

const base = { vocabulary: 30522, hidden: 768, inner: 3072, heads: 12, attention: attentionNames, self: selfNames };

const kin = {
  bert: { ...base, embeddings: { ...words, ...positions, ...types, ...end }, pools: ["none", "sequence"] },
  roberta: {
    ...{ ...base, vocabulary: 50265, embeddings: { ...words, ...types, ...end, ...positions } },
    ...{ pools: ["none"], padding: { token: 1, named: true } },
  },
  electra: {
    ...{ ...base, hidden: 256, inner: 1024, heads: 4, embedding: 128 },
    ...{ embeddings: { ...words, ...positions, ...types, ...end }, pools: [] },
  },
  mpnet: {
    ...{ ...base, vocabulary: 30527, embeddings: { ...words, ...positions, ...end } },
    attention: { attn: "attention", LayerNorm: "sum attention", dropout: "silent" },
    self: { q: "query", k: "key", v: "value", o: "output", dropout: "silent" },
    ...{ pools: ["none"], padding: { token: 1, named: false } },
    scores: { kind: "buckets", buckets: 32, distance: 128, bothWays: true },
  },
} satisfies Record<string, Kin>;

/** The first part of every path. */
type Name = keyof typeof kin;

const schema = ({ vocabulary, hidden, inner, heads }: Kin) => ({
  ...{ vocab_size: whole(vocabulary), hidden_size: whole(hidden) },
  ...{ intermediate_size: whole(inner), num_attention_heads: whole(heads) },
  ...{ num_hidden_layers: layersOf(12), max_position_embeddings: whole(512), type_vocab_size: whole(2) },
  ...{ layer_norm_eps: positive(1e-12), hidden_act: activation("gelu"), tie_word_embeddings: truth(true) },
  ...{ position_embedding_type: only("absolute"), is_decoder: only(false), add_cross_attention: only(false) },
  ...{ hidden_dropout_prob: dropout, attention_probs_dropout_prob: dropout, classifier_dropout: dropout },
});

type Fields = Read<ReturnType<typeof schema>> & { readonly name: Name; readonly embedding_size: number };

/** Later kinds are those before under other names. */
const nameOf = (modelType: string): Name => (Object.hasOwn(kin, modelType) ? (modelType as Name) : "roberta");

function fieldsOf(config: ModelConfig, sink: DiagnosticSink): Fields {
  const name = nameOf(text(config, "model_type", "bert"));
  const { embedding: own, scores }: Kin = kin[name];
  const c = readFields(schema(kin[name]), config, sink);
  if (scores !== undefined) requireValue(config, "relative_attention_num_buckets", scores.buckets);
  return { ...c, name, embedding_size: own === undefined ? c.hidden_size : whole(own)(config, "embedding_size", sink) };
}

function specOf(c: Fields, kind: HeadKind, config: ModelConfig): StackSpec {
  const { name, hidden_size: hidden, num_attention_heads: heads, embedding_size: width } = c;
  const { embeddings, attention, self, pools, padding, scores }: Kin = kin[name];
  const norm = withMean(c.layer_norm_eps);
  const each = headWidth(hidden, heads, "hidden_size, num_attention_heads");
  const layer: StackSpec["layers"][number] = {
    names: {
      attention,
      intermediate: { dense: "up", intermediate_act_fn: "silent" },
      output: { dense: "down", LayerNorm: "sum mlp", dropout: "silent" },
    },
    norm,
    attention: {
      ...{ names: self, heads, keyHeads: heads, headWidth: each, scale: 1 / Math.sqrt(each) },
      ...{ bias: [withBias, withBias], closed: true, ...(scores === undefined ? {} : { scores }) },
    },
    mlp: { names: {}, inner: c.intermediate_size, activation: c.hidden_act, bias: withBias },
  };
  const named = padding?.named === true ? specialTokens(config).padToken : undefined;
  const padToken = named ?? padding?.token;
  const offset = padToken === undefined ? 0 : padToken + 1;
  return {
    ...{ modelType: text(config, "model_type", "bert"), vocabulary: c.vocab_size, hidden, norm, ropes: {} },
    names: {
      path: [name],
      parts: {
        ...{ embeddings, embeddings_project: "project in" },
        ...{ encoder: { layer: "layers", relative_attention_bias: "score table" }, pooler: "pooler" },
      },
    },
    ...{ bothWays: true, maximumLength: c.max_position_embeddings - offset },
    ...("token_type_embeddings" in embeddings ? { tokenTypes: c.type_vocab_size } : {}),
    ...(padToken === undefined ? {} : { padToken }),
    positions: padToken === undefined ? { offset, counted: false } : { offset, counted: true, padToken },
    ...(scores === undefined ? {} : { scoreTable: { heads, buckets: scores.buckets } }),
    ...(width === hidden ? {} : { embeddingWidth: width, projection: { after: "norm", bias: true } }),
    ...(pools.includes(kind)
      ? { pooler: { width: hidden, ...(kind === "none" ? {} : { fresh: freshHead(config) }) } }
      : {}),
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
  const lm_head = block(
    {
      ...{ dense: linear(hidden, hidden, true), layer_norm: layerNorm(hidden, epsilon) },
      decoder: linear(hidden, vocabulary, true, { weight: table }),
    },
    (modules, { builder }) =>
      (x: number) =>
        modules.decoder(modules.layer_norm(activate(builder, "gelu", modules.dense(x)))),
  );
  return { lm_head };
}

/** Classes of a row, from its first token through a layer, of all but BERT. */
function rowClassifier(name: Name, hidden: number, classes: number): Module<Unary> {
  const dense = linear(hidden, hidden, true);
  const ends = { dropout: silent, out_proj: linear(hidden, classes, true) };
  if (name !== "electra")
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
  ...{
    modelTypes: ["bert", "roberta", "xlm-roberta", "camembert", "electra", "mpnet"],
    layerFields: ["num_hidden_layers"],
  },
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
    key.replace(/^(cls\.predictions|lm_head)\.decoder\.bias$/, "$1.bias"),
  ],
};
