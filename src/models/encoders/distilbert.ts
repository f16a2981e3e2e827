/** DistilBERT: BERT without token types and pooler; norms behind the sums with the stream. */
import { activate } from "../activation.ts";
import { requirePlainWeights } from "../config.ts";
import { activation, dropout, layersOf, only, type Read, readFields, truth, whole } from "../fields.ts";
import { headKind, headNames, rowLabels } from "../head.ts";
import { spanHead, tokenHead } from "../heads.ts";
import { layerNorm, linear, withBias, withMean } from "../layers.ts";
import type { ModelConfig } from "../model.ts";
import { type ModelFamily, silent } from "../module.ts";
import { firstToken } from "../pooling.ts";
import { headWidth } from "../shapes.ts";
import type { StackSpec } from "../spec.ts";
import { type Head, modelOf, tableOf } from "../tree.ts";

const schema = {
  ...{ vocab_size: whole(30522), dim: whole(768), hidden_dim: whole(3072), n_layers: layersOf(6), n_heads: whole(12) },
  ...{ max_position_embeddings: whole(512), activation: activation("gelu"), sinusoidal_pos_embds: only(false) },
  ...{ tie_word_embeddings: truth(true), dropout, attention_dropout: dropout, seq_classif_dropout: dropout },
};

type Fields = Read<typeof schema>;

const epsilon = 1e-12;

function specOf(c: Fields): StackSpec {
  const norm = withMean(epsilon);
  const width = headWidth(c.dim, c.n_heads, "dim, n_heads");
  const layer: StackSpec["layers"][number] = {
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
    },
    ...{ norm, bothWays: true, ropes: {}, positions: { offset: 0, counted: false } },
    layers: Array.from({ length: c.n_layers }, () => layer),
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
      logits: ({ pre_classifier, classifier }, { hidden }, { builder }) =>
        classifier!(activate(builder, "relu", pre_classifier!(firstToken({ builder }, hidden)))),
      is,
    };
  },
  token: (c, config) => tokenHead(c.dim, config),
  masked: (c) => {
    const weight = c.tie_word_embeddings ? tableOf(specOf(c)) : undefined;
    return {
      modules: {
        vocab_transform: linear(c.dim, c.dim, true),
        vocab_layer_norm: layerNorm(c.dim, epsilon),
        vocab_projector: linear(c.dim, c.vocab_size, true, { weight }),
        mlm_loss_fct: silent,
      },
      logits: ({ vocab_transform, vocab_layer_norm, vocab_projector }, { hidden }, { builder }) =>
        vocab_projector!(vocab_layer_norm!(activate(builder, c.activation, vocab_transform!(hidden)))),
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
