/** DistilBERT: BERT without token types and pooler; norms behind the sums with the stream. */
import { activate } from "../activation.ts";
import { requirePlainWeights } from "../config.ts";
import { activation, dropout, layersOf, only, type Read, readFields, truth, whole } from "../fields.ts";
import { headKind, headNames, labelCount, rowLabels } from "../head.ts";
import { layerNorm, linear, withBias, withMean } from "../layers.ts";
import type { ModelConfig } from "../model.ts";
import { type ModelFamily, silent } from "../module.ts";
import { firstToken } from "../pooling.ts";
import { headWidth } from "../shapes.ts";
import type { DecoderSpec } from "../spec.ts";
import { type Head, modelOf, spanHead, tableOf } from "../stack.ts";

const schema = {
  ...{ vocab_size: whole(30522), dim: whole(768), hidden_dim: whole(3072), n_layers: layersOf(6), n_heads: whole(12) },
  ...{ max_position_embeddings: whole(512), activation: activation("gelu"), sinusoidal_pos_embds: only(false) },
  ...{ tie_word_embeddings: truth(true), dropout, attention_dropout: dropout, seq_classif_dropout: dropout },
};

type Fields = Read<typeof schema>;

const epsilon = 1e-12;

function specOf(c: Fields): DecoderSpec {
  const norm = withMean(epsilon);
  const width = headWidth(c.dim, c.n_heads, "dim, n_heads");
  const layer: DecoderSpec["layers"][number] = {
    names: {
      ...{ attention: "attention", sa_layer_norm: "sum attention", ffn: "mlp", output_layer_norm: "sum mlp" },
    },
    norm,
    attention: {
      names: { q_lin: "query", k_lin: "key", v_lin: "value", out_lin: "output", dropout: "silent" },
      ...{ heads: c.n_heads, keyHeads: c.n_heads, headWidth: width, scale: 1 / Math.sqrt(width) },
      ...{ bias: [withBias, withBias], closed: true },
    },
    mlp: {
      names: { dropout: "silent", lin1: "up", lin2: "down", activation: "silent" },
      ...{ inner: c.hidden_dim, activation: c.activation, bias: withBias },
    },
  };
  return {
    ...{ modelType: "distilbert", vocabulary: c.vocab_size, hidden: c.dim, maximumLength: c.max_position_embeddings },
    names: {
      path: ["distilbert"],
      parts: {
        embeddings: {
          ...{ word_embeddings: "embedding", position_embeddings: "positions" },
          ...{ LayerNorm: "embedding norm", dropout: "silent" },
        },
        transformer: { layer: "layers" },
      },
      head: "vocab_projector",
    },
    ...{ norm, bothWays: true, ropes: {}, positions: { offset: 0, counted: false } },
    layers: Array.from({ length: c.n_layers }, () => layer),
    head: { tied: c.tie_word_embeddings },
  };
}

const kinds = headNames("sequence", "token", "masked", "span", "none");

const heads: Readonly<Record<string, (c: Fields, config: ModelConfig) => Omit<Head, "top">>> = {
  sequence: (c, config) => {
    const is = { kind: "sequence", ...rowLabels(config) } as const;
    return {
      modules: {
        ...{ pre_classifier: linear(c.dim, c.dim, true), classifier: linear(c.dim, is.classes, true), dropout: silent },
      },
      logits: ({ pre_classifier, classifier }, stream, { builder }) =>
        classifier!(activate(builder, "relu", pre_classifier!(firstToken({ builder }, stream)))),
      is,
    };
  },
  token: (c, config) => {
    const is = { kind: "token", classes: labelCount(config) } as const;
    return {
      modules: { dropout: silent, classifier: linear(c.dim, is.classes, true) },
      ...{ logits: ({ classifier }, stream) => classifier!(stream), is },
    };
  },
  masked: (c) => {
    const weight = c.tie_word_embeddings ? tableOf(specOf(c)) : undefined;
    return {
      modules: {
        vocab_transform: linear(c.dim, c.dim, true),
        vocab_layer_norm: layerNorm(c.dim, epsilon),
        vocab_projector: linear(c.dim, c.vocab_size, true, { weight }),
        mlm_loss_fct: silent,
      },
      logits: ({ vocab_transform, vocab_layer_norm, vocab_projector }, stream, { builder }) =>
        vocab_projector!(vocab_layer_norm!(activate(builder, c.activation, vocab_transform!(stream)))),
      ...{ is: { kind: "token", classes: c.vocab_size }, before: { activation: silent } },
    };
  },
  span: (c) => {
    const { modules, ...head } = spanHead(c.dim);
    return { ...head, modules: { ...modules, dropout: silent } };
  },
};

export const distilbert: ModelFamily = {
  ...{ modelTypes: ["distilbert"], layerFields: ["n_layers"], heads: kinds },
  read: (config, sink) => {
    requirePlainWeights(config);
    const kind = headKind(config, kinds);
    const fields = readFields(schema, config, sink);
    return modelOf(specOf(fields), heads[kind]?.(fields, config), config);
  },
};
