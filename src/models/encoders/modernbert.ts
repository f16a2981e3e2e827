/** ModernBERT: norms before attention and MLP, rotary embedding with one base for layers that see all and one for those with a window. */
import { activate } from "../activation.ts";
import { positiveInteger, requirePlainWeights, text } from "../config.ts";
import { layerTypes } from "../decoders/common.ts";
import { activation, dropout, layersOf, optional, positive, type Read, readFields, truth, whole } from "../fields.ts";
import { freshHead, headKind, headNames, labelCount, rowLabels } from "../head.ts";
import { linear, norm, type Unary, withMean } from "../layers.ts";
import type { FreshHead, ModelConfig } from "../model.ts";
import { block, type ModelFamily, type Module, ofHead, silent } from "../module.ts";
import { firstToken } from "../pooling.ts";
import { readRopes } from "../rope-config.ts";
import { headWidth } from "../shapes.ts";
import type { LayerSpec, StackSpec } from "../spec.ts";
import { type Head, modelOf, tableOf } from "../tree.ts";

const schema = {
  ...{ vocab_size: whole(50368), hidden_size: whole(768), intermediate_size: whole(1152) },
  ...{ num_hidden_layers: layersOf(22), num_attention_heads: whole(12), max_position_embeddings: whole(8192) },
  ...{ hidden_activation: activation("gelu"), norm_eps: positive(1e-5), norm_bias: truth(false) },
  ...{ attention_bias: truth(false), mlp_bias: truth(false), decoder_bias: truth(true), classifier_bias: truth(false) },
  ...{ classifier_activation: activation("gelu"), local_attention: whole(128), sliding_window: optional(whole()) },
  ...{ tie_word_embeddings: truth(true), attention_dropout: dropout, embedding_dropout: dropout, mlp_dropout: dropout },
  classifier_dropout: dropout,
};

type Fields = Read<typeof schema>;

function specOf(c: Fields, config: ModelConfig): StackSpec {
  const types = layerTypes(
    config,
    c.num_hidden_layers,
    (i) => i % positiveInteger(config, "global_attn_every_n_layers", 3) !== 0,
  );
  const normed = withMean(c.norm_eps, c.norm_bias);
  const heads = c.num_attention_heads;
  const width = headWidth(c.hidden_size, heads, "hidden_size, num_attention_heads");
  const biased = { has: c.attention_bias, field: "attention_bias" };
  const layer = (index: number): LayerSpec => ({
    names: {
      // What comes out of the embeddings is normalised already.
      attn_norm: index === 0 ? "silent" : "before attention",
      ...{ attn: "attention", mlp_norm: "before mlp", mlp: "mlp" },
    },
    norm: normed,
    attention: {
      names: { Wqkv: "joint", Wo: "output", out_drop: "silent" },
      ...{
        heads,
        keyHeads: heads,
        headWidth: width,
        scale: 1 / Math.sqrt(width),
        bias: [biased, biased],
        closed: true,
      },
      ...{
        rope: types[index]!,
        window: types[index] === "sliding_attention" ? (c.sliding_window ?? c.local_attention >> 1) : undefined,
      },
    },
    mlp: {
      names: { Wi: "joint", act: "silent", drop: "silent", Wo: "down" },
      ...{ inner: c.intermediate_size, activation: c.hidden_activation, bias: { has: c.mlp_bias, field: "mlp_bias" } },
    },
  });
  const thetas = {
    full_attention: config.global_rope_theta ?? 160000,
    sliding_attention: config.local_rope_theta ?? 10000,
  };
  return {
    ...{ modelType: "modernbert", vocabulary: c.vocab_size, hidden: c.hidden_size },
    maximumLength: c.max_position_embeddings,
    names: {
      path: ["model"],
      parts: {
        embeddings: { tok_embeddings: "embedding", norm: "embedding norm", drop: "silent" },
        ...{ layers: "layers", final_norm: "norm", rotary_emb: "rope" },
      },
    },
    ...{ norm: normed, bothWays: true, ropes: readRopes(config, { thetas, maximum: 8192 }) },
    layers: Array.from({ length: c.num_hidden_layers }, (_unused, index) => layer(index)),
  };
}

/** What all heads begin with. */
const transform = (c: Fields): Module<Unary> =>
  block(
    {
      dense: linear(c.hidden_size, c.hidden_size, c.classifier_bias),
      act: silent,
      norm: norm(c.hidden_size, withMean(c.norm_eps, c.norm_bias)),
    },
    (modules, { builder }) =>
      (x) =>
        modules.norm(activate(builder, c.classifier_activation, modules.dense(x))),
  );

/** How the layers of classifiers are drawn. */
function drawn(c: Fields, config: ModelConfig): { readonly head: FreshHead; readonly classifier: FreshHead } {
  const { initializer_cutoff_factor: given = 2 } = config;
  const cutoff = typeof given === "number" ? given : 3;
  const { deviation } = freshHead(config);
  return {
    head: { deviation: deviation / Math.sqrt(2 * c.num_hidden_layers), cutoff },
    classifier: { deviation: c.hidden_size ** -0.5, cutoff },
  };
}

/** A classifier on what all heads begin with. */
function classifiers(c: Fields, config: ModelConfig, classes: number): Head["modules"] {
  const { head, classifier } = drawn(c, config);
  return {
    ...{ head: ofHead(transform(c), head), drop: silent },
    classifier: ofHead(linear(c.hidden_size, classes, true), classifier),
  };
}

const ofAll: Head["logits"] = ({ head, classifier }, { hidden }) => classifier!(head!(hidden));

const kinds = headNames("sequence", "token", "masked", "span", "none");

const heads: Readonly<Record<string, (c: Fields, config: ModelConfig) => Head>> = {
  sequence: (c, config) => {
    const is = { kind: "sequence", ...rowLabels(config) } as const;
    const pooling = text(config, "classifier_pooling", "cls");
    return {
      modules: classifiers(c, config, is.classes),
      logits: ({ head, classifier }, { hidden }, sequence) =>
        classifier!(head!(pooling === "mean" ? sequence.meanReal(hidden) : firstToken(sequence, hidden))),
      is,
    };
  },
  token: (c, config) => {
    const is = { kind: "token", classes: labelCount(config) } as const;
    return { modules: classifiers(c, config, is.classes), logits: ofAll, is };
  },
  masked: (c, config) => {
    const weight = c.tie_word_embeddings ? tableOf(specOf(c, config)) : undefined;
    return {
      modules: { head: transform(c), decoder: linear(c.hidden_size, c.vocab_size, c.decoder_bias, { weight }) },
      logits: ({ head, decoder }, { hidden }) => decoder!(head!(hidden)),
      is: { kind: "token", classes: c.vocab_size },
    };
  },
  span: (c, config) => ({ modules: classifiers(c, config, 2), logits: ofAll, is: { kind: "span", classes: 2 } }),
};

export const modernbert: ModelFamily = {
  ...{ modelTypes: ["modernbert"], layerFields: ["num_hidden_layers"], heads: kinds },
  read: (config, sink) => {
    requirePlainWeights(config);
    const kind = headKind(config, kinds);
    const fields = readFields(schema, config, sink);
    return modelOf(specOf(fields, config), heads[kind]?.(fields, config), config);
  },
};
