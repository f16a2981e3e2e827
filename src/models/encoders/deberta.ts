/**
 * DeBERTa 2 and 3: the scores of an attention are what contents say of one another, and of distances (He et al. 2020, 2021). Embeddings of
 * distances, one table for all layers, go through layers of queries and of keys.
 */
import { activate } from "../activation.ts";
import { attend, unpadded } from "../attention.ts";
import { notBuilt, present, requirePlainWeights, requireValue, specialTokens, texts } from "../config.ts";
import { byPlace, distanceRows } from "../distances.ts";
import { encoderAlone, normedLayer, predictions } from "../encoder.ts";
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
import { freshHead, headKind, headNames, labelCount, rowLabels } from "../head.ts";
import { attentionEntry, embedding, layerNorm, linear, type Unary } from "../layers.ts";
import { type BuildOptions, type ModelConfig, type ModelHead, type ModelInput, tokenInput } from "../model.ts";
import { allOfHead, block, layers, type ModelFamily, type Module, named, silent } from "../module.ts";
import { firstToken } from "../pooling.ts";
import { headWidth } from "../shapes.ts";

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

/** What attentions read beside the stream: which keys are seen, and embeddings of distances f32[1, 2 s - 1, hidden], in both orders. */
interface Attended {
  readonly seen: number | undefined;
  readonly distances?: Readonly<Record<"to keys" | "to queries", number>>;
}

/** The farthest distances that have embeddings of their own, in both directions. */
const reach = (c: Fields): number => c.max_relative_positions ?? c.max_position_embeddings;
const spanOf = (c: Fields): number => c.position_buckets ?? reach(c);

/** The table of distances f32[2 span, hidden]. Nothing looks it up but attentions, so adapters of embeddings cannot change it. */
const distanceTable = (c: Fields): Module<() => number> => ({
  entry: (path) => ({
    ...{ path, kind: "container", layout: "linear" },
    parameters: { weight: { key: `${path}.weight`, shape: [2 * spanOf(c), c.hidden_size] } },
  }),
  children: {},
  call:
    ({ sites, path }) =>
    () =>
      sites.parameter(path, "weight"),
});

function attention(c: Fields): Module<(x: number, read: Attended) => number> {
  const { hidden_size: hidden, num_attention_heads: heads, pos_att_type: ways } = c;
  const width = headWidth(hidden, heads, "hidden_size, num_attention_heads");
  const part = (): Module<Unary> => linear(hidden, hidden, true);
  const ofDistances = (kind: string): Module<Unary> | undefined =>
    c.relative_attention && !c.share_att_key && ways.includes(kind) ? part() : undefined;
  const scale = 1 / Math.sqrt(width * (1 + new Set(ways).size));
  return block(
    {
      ...{ query_proj: part(), key_proj: part(), value_proj: part() },
      pos_dropout: c.relative_attention ? silent : undefined,
      ...{ pos_key_proj: ofDistances("c2p"), pos_query_proj: ofDistances("p2c"), dropout: silent },
    },
    (modules, { builder }) =>
      (x, { seen, distances }) => {
        const [batch, length] = builder.shape(x) as [number, number];
        const split = (y: number, ...groups: number[]): number =>
          builder.reshape(y, [builder.shape(y)[0]!, builder.shape(y)[1]!, heads, ...groups, width]);
        const [queries, keys] = [split(modules.query_proj(x)), split(modules.key_proj(x))];
        /** Scores f32[b, n, i, j] of contents at i by the distances of j. */
        const apart = (contents: number, made: number): number =>
          byPlace(
            builder,
            builder.einsum("bsnd,mnd->bnsm", contents, builder.reshape(made, [2 * length - 1, heads, width])),
          );
        const parts: number[] = [];
        if (distances !== undefined && ways.includes("c2p"))
          parts.push(apart(queries, (modules.pos_key_proj ?? modules.key_proj)(distances["to keys"])));
        if (distances !== undefined && ways.includes("p2c")) {
          const turned = apart(keys, (modules.pos_query_proj ?? modules.query_proj)(distances["to queries"]));
          parts.push(builder.transpose(turned, [0, 1, 3, 2]));
        }
        const context = attend(builder, {
          queries: builder.reshape(queries, [batch, length, heads, 1, width]),
          ...{ keys, values: split(modules.value_proj(x)), seen, scale, replaces: true },
          ...(parts.length === 0
            ? {}
            : {
                bias: builder.scale(
                  parts.reduce((a, b) => builder.plus(a, b)),
                  scale,
                ),
              }),
        });
        return builder.reshape(context, [batch, length, hidden]);
      },
    attentionEntry(),
  );
}

type Encoder = (options: BuildOptions) => number;

function embeddings(c: Fields): Module<Encoder> {
  const width = c.embedding_size ?? c.hidden_size;
  return block(
    {
      word_embeddings: embedding(c.vocab_size, width),
      position_embeddings: c.position_biased_input ? embedding(c.max_position_embeddings, width) : undefined,
      token_type_embeddings: kinds(c) > 0 ? embedding(kinds(c), width) : undefined,
      embed_proj: width === c.hidden_size ? undefined : linear(width, c.hidden_size, false),
      ...{ LayerNorm: layerNorm(c.hidden_size, c.layer_norm_eps), dropout: silent },
    },
    (modules, { builder }) =>
      ({ batch, length, mask }) => {
        const port = (name: string): number => builder.port(name, "input", "i32", [batch, length]);
        const words = modules.word_embeddings(port("input_ids"));
        const places = modules.position_embeddings?.(builder.iota([length], 0));
        const types = modules.token_type_embeddings?.(port("token_type_ids"));
        const sum = [places, types].reduce<number>((x, y) => (y === undefined ? x : builder.plus(x, y)), words);
        const normed = modules.LayerNorm(modules.embed_proj?.(sum) ?? sum);
        if (!mask) return normed;
        const real = builder.cast(port("attention_mask"), "f32");
        return builder.mul(normed, builder.broadcast(real, builder.shape(normed), [0, 1]));
      },
  );
}

function encoder(c: Fields): Module<Encoder> {
  const sizes = {
    ...{ hidden: c.hidden_size, intermediate: c.intermediate_size },
    ...{ epsilon: c.layer_norm_eps, activation: c.hidden_act },
  };
  const stack = block(
    {
      layer: layers(c.num_hidden_layers, () => normedLayer(sizes, attention(c))),
      rel_embeddings: c.relative_attention ? distanceTable(c) : undefined,
      LayerNorm: c.norm_rel_ebd.includes("layer_norm") ? layerNorm(c.hidden_size, c.layer_norm_eps) : undefined,
    },
    (modules, { builder }) =>
      (x: number, seen: number | undefined) => {
        const length = builder.shape(x)[1]!;
        const table = modules.rel_embeddings?.();
        const normed = table === undefined ? undefined : (modules.LayerNorm?.(table) ?? table);
        const buckets = { span: spanOf(c), buckets: c.position_buckets, farthest: reach(c) };
        const rows = (way: "to keys" | "to queries"): number => {
          const found = builder.add("gather", [normed!, distanceRows(builder, length, buckets, way)]);
          return builder.reshape(found, [1, 2 * length - 1, c.hidden_size]);
        };
        const distances =
          normed === undefined ? {} : { distances: { "to keys": rows("to keys"), "to queries": rows("to queries") } };
        return modules.layer.reduce((stream, one) => one(stream, { seen, ...distances }), x);
      },
  );
  return block({ embeddings: embeddings(c), encoder: stack }, (modules, { builder }) => (options) => {
    const { batch, length, mask } = options;
    // Padding sees nothing, and nobody sees it.
    const keys = mask ? unpadded(builder, builder.port("attention_mask", "input", "i32", [batch, length])) : undefined;
    const seen = keys === undefined ? undefined : builder.compare("and", keys, builder.transpose(keys, [0, 2, 1]));
    return modules.encoder(modules.embeddings(options), seen);
  });
}

interface Head {
  readonly modules: Readonly<Record<string, Module>>;
  /** The layers that make logits of the stream, in turn. */
  readonly inTurn: readonly string[];
  readonly is: ModelHead;
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
    return { modules, inTurn: ["pooler", "classifier"], is };
  },
  token: (c, config) => {
    const is = { kind: "token", classes: labelCount(config) } as const;
    const modules = { dropout: silent, classifier: linear(c.hidden_size, is.classes, true) };
    return { modules, inTurn: ["classifier"], is };
  },
  span: (c) => ({
    modules: { qa_outputs: linear(c.hidden_size, 2, true) },
    ...{ inTurn: ["qa_outputs"], is: { kind: "span", classes: 2 } },
  }),
  masked: (c, config) => {
    requireValue(config, "legacy", true);
    const cls = predictions({
      ...{ hidden: c.hidden_size, embeddingWidth: c.embedding_size ?? c.hidden_size, vocabulary: c.vocab_size },
      ...{ epsilon: c.layer_norm_eps, activation: c.hidden_act },
      table: c.tie_word_embeddings ? "deberta.embeddings.word_embeddings.weight" : undefined,
    });
    return { modules: { cls }, inTurn: ["cls"], is: { kind: "token", classes: c.vocab_size } };
  },
};

const headsOf = headNames("sequence", "token", "masked", "span", "none");

export const deberta: ModelFamily = {
  ...{ modelTypes: ["deberta-v2"], layerFields: ["num_hidden_layers"], heads: headsOf },
  read: (config, sink) => {
    requirePlainWeights(config);
    const kind = headKind(config, headsOf);
    const c = readFields(schema, config, sink);
    const head = heads[kind]?.(c, config);
    const is: ModelHead = head?.is ?? { kind: "none", classes: c.hidden_size };
    const ofHead = allOfHead(head?.modules ?? {}, freshHead(config));
    const whole = block({ deberta: encoder(c), ...ofHead }, (modules) => (options: BuildOptions) => {
      const stream = named<Encoder>(modules, "deberta")(options);
      return head!.inTurn.reduce((x, name) => named<Unary>(modules, name)(x), stream);
    });
    const root = head === undefined ? encoderAlone(encoder(c), (_place, options) => options, undefined) : whole;
    const ofTypes: ModelInput = { name: "token_type_ids", dtype: "i32", limit: kinds(c), fill: 0 };
    return {
      ...{ root, prefix: "deberta", inputs: [tokenInput(c.vocab_size), ...(kinds(c) > 0 ? [ofTypes] : [])] },
      defaults: {
        ...{ modelType: "deberta-v2", head: is, vocabulary: c.vocab_size, hidden: c.hidden_size },
        ...{ layers: c.num_hidden_layers, maximumLength: c.max_position_embeddings },
        ...(c.position_biased_input ? { limitsLength: true } : {}),
        ...specialTokens(config),
      },
    };
  },
  otherKeys: (key) => [key.replace(/^cls\.predictions\.bias$/, "cls.predictions.decoder.bias")],
};
