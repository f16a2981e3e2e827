/**
 * DeBERTa 2 and 3: the scores of an attention are what contents say of one another, and of distances (He et al. 2020, 2021). Embeddings of
 * distances, one table for all layers, go through layers of queries and of keys.
 */
import { activate } from "../activation.ts";
import { notBuilt, present, requirePlainWeights, requireValue, texts } from "../config.ts";
import type { DistanceSpec } from "../distances.ts";
import {
  activation,
  dropout,
  type Field,
  layersOf,
  natural,
  optional,
  positive,
  type Read,
  readFields,
  truth,
  whole,
} from "../fields.ts";
import { headKind, headNames, rowLabels } from "../head.ts";
import { inTurn, predictions, spanHead, tokenHead } from "../heads.ts";
import { linear, type Unary, withBias, withMean } from "../layers.ts";
import type { ModelConfig } from "../model.ts";
import { block, type ModelFamily, type Module, silent } from "../module.ts";
import { firstToken } from "../pooling.ts";
import { headWidth } from "../shapes.ts";
import type { StackSpec } from "../spec.ts";
import { type Head, modelOf, tableOf } from "../tree.ts";

/** A positive whole number, or none. */
const anyOrNone: Field<number | undefined> = (config, name, sink) => {
  const value = config[name];
  return typeof value === "number" && value < 1 ? undefined : optional(whole())(config, name, sink);
};

/** Names out of those that are built, as a list or between bars. Throws `MODEL-FEATURE` for others. */
const someOf =
  (...known: readonly string[]): Field<readonly string[]> =>
  (config, field) => {
    const value = present(config, field);
    const given = typeof value === "string" ? value.split("|").map((name) => name.trim()) : texts(config, field);
    const other = given?.find((name) => !known.includes(name.toLowerCase()));
    if (other !== undefined) throw notBuilt(field, known.join(", "), other);
    return (given ?? []).map((name) => name.toLowerCase());
  };

/** A field of which only one number is built. */
const always =
  (built: (config: ModelConfig) => unknown): Field<void> =>
  (config, name) => {
    const value = present(config, name) ?? built(config);
    if (value !== built(config)) throw notBuilt(name, String(built(config)), value);
  };

const schema = {
  ...{
    vocab_size: whole(128100),
    hidden_size: whole(1536),
    intermediate_size: whole(6144),
    type_vocab_size: optional(natural, 0),
  },
  ...{ num_hidden_layers: layersOf(24), num_attention_heads: whole(24), max_position_embeddings: whole(512) },
  ...{ hidden_act: activation("gelu"), layer_norm_eps: positive(1e-7), embedding_size: optional(whole()) },
  ...{ relative_attention: truth(false), share_att_key: truth(false), position_biased_input: truth(true) },
  ...{ max_relative_positions: anyOrNone, position_buckets: anyOrNone, tie_word_embeddings: truth(true) },
  ...{ pos_att_type: someOf("c2p", "p2c"), norm_rel_ebd: someOf("none", "layer_norm") },
  ...{ pooler_hidden_act: activation("gelu"), pooler_hidden_size: always((config) => config.hidden_size) },
  ...{ conv_kernel_size: always(() => 0), attention_head_size: always(headSize) },
  ...{ hidden_dropout_prob: dropout, attention_probs_dropout_prob: dropout, pooler_dropout: dropout },
};

type Fields = Read<typeof schema>;

const kinds = (c: Fields): number => c.type_vocab_size ?? 0;

function headSize({ hidden_size, num_attention_heads }: ModelConfig): number {
  return Number(hidden_size) / Number(num_attention_heads);
}

/** The farthest distances that have embeddings of their own, in both directions. */
const reach = (c: Fields): number => c.max_relative_positions ?? c.max_position_embeddings;

function specOf(c: Fields): StackSpec {
  const { hidden_size: hidden, num_attention_heads: heads, pos_att_type: ways, embedding_size: width = hidden } = c;
  const norm = withMean(c.layer_norm_eps);
  const each = headWidth(hidden, heads, "hidden_size, num_attention_heads");
  const isRelative = c.relative_attention;
  const layer: StackSpec["layers"][number] = {
    norm,
    names: {
      attention: {
        self: "attention",
        output: { dense: "attention output", LayerNorm: "sum attention", dropout: "silent" },
      },
      intermediate: { dense: "up", intermediate_act_fn: "silent" },
      output: { dense: "down", LayerNorm: "sum mlp", dropout: "silent" },
    },
    attention: {
      names: {
        ...{ query_proj: "query", key_proj: "key", value_proj: "value" },
        ...(isRelative ? { pos_dropout: "silent" } : {}),
        ...{ pos_key_proj: "distance key", pos_query_proj: "distance query", dropout: "silent" },
      },
      ...{ heads, keyHeads: heads, headWidth: each, bias: [withBias, withBias], closed: true, replaces: true },
      scale: 1 / Math.sqrt(each * (1 + new Set(ways).size)),
      ...(isRelative ? { scores: { kind: "distances", ways, apart: !c.share_att_key } } : {}),
    },
    mlp: { names: {}, inner: c.intermediate_size, activation: c.hidden_act, bias: withBias },
  };
  const distances: DistanceSpec = {
    span: c.position_buckets ?? reach(c),
    buckets: c.position_buckets,
    farthest: reach(c),
  };
  return {
    ...{
      modelType: "deberta-v2",
      vocabulary: c.vocab_size,
      hidden,
      norm,
      ropes: {},
      bothWays: true,
      blindPadding: true,
    },
    maximumLength: c.max_position_embeddings,
    names: {
      path: ["deberta"],
      parts: {
        embeddings: {
          word_embeddings: "embedding",
          ...(c.position_biased_input ? { position_embeddings: "positions" } : {}),
          ...{ token_type_embeddings: "token types", embed_proj: "project in" },
          ...{ LayerNorm: "embedding norm", dropout: "silent" },
        },
        encoder: {
          ...{ layer: "layers", rel_embeddings: "distances" },
          ...(c.norm_rel_ebd.includes("layer_norm") ? { LayerNorm: "distance norm" } : {}),
        },
      },
    },
    ...(c.position_biased_input ? { positions: { offset: 0, counted: false } } : {}),
    ...(kinds(c) > 0 ? { tokenTypes: kinds(c) } : {}),
    ...(width === hidden ? {} : { embeddingWidth: width, projection: { after: "sum", bias: false } }),
    ...(isRelative ? { distances } : {}),
    layers: Array.from({ length: c.num_hidden_layers }, () => layer),
  };
}

/** The first token through a layer. */
const pooler = (c: Fields): Module<Unary> =>
  block(
    { dense: linear(c.hidden_size, c.hidden_size, true), dropout: silent },
    ({ dense }, place) =>
      (stream) =>
        activate(place.builder, c.pooler_hidden_act, dense(firstToken(place, stream))),
  );

const heads: Readonly<Record<string, (c: Fields, config: ModelConfig) => Head>> = {
  sequence: (c, config) => {
    const is = { kind: "sequence", ...rowLabels(config) } as const;
    const modules = { pooler: pooler(c), classifier: linear(c.hidden_size, is.classes, true), dropout: silent };
    return { modules, logits: inTurn(modules), is };
  },
  token: (c, config) => tokenHead(c.hidden_size, config),
  span: (c) => spanHead(c.hidden_size),
  masked: (c, config) => {
    requireValue(config, "legacy", true);
    const cls = predictions({
      ...{ hidden: c.hidden_size, embeddingWidth: c.embedding_size ?? c.hidden_size, vocabulary: c.vocab_size },
      ...{ epsilon: c.layer_norm_eps, activation: c.hidden_act },
      table: c.tie_word_embeddings ? tableOf(specOf(c)) : undefined,
    });
    return { modules: { cls }, logits: inTurn({ cls }), is: { kind: "token", classes: c.vocab_size } };
  },
};

const headsOf = headNames("sequence", "token", "masked", "span", "none");

export const deberta: ModelFamily = {
  ...{ modelTypes: ["deberta-v2"], layerFields: ["num_hidden_layers"], heads: headsOf },
  read: (config, sink) => {
    requirePlainWeights(config);
    const kind = headKind(config, headsOf);
    const c = readFields(schema, config, sink);
    return modelOf(specOf(c), heads[kind]?.(c, config), config);
  },
  otherKeys: (key) => [key.replace(/^cls\.predictions\.decoder\.bias$/, "cls.predictions.bias")],
};
