/**
 * The family bert, roberta, xlm-roberta, camembert, electra: embeddings of tokens, token types and positions, normalised; per layer attention in both directions and MLP, each
 * added to the stream and normalised after it; a classifier of rows or of tokens, the ends of a span, the head of masked tokens, or none.
 */
import type { Builder } from "../ir/builder.ts";
import { activate } from "./activation.ts";
import { unpadded } from "./attention.ts";
import { type BertSettings, bertHeads, readBertConfig } from "./bert-config.ts";
import { attendAll, encoderAlone, normedLayer, pooled, poolerOf, predictions } from "./encoder.ts";
import { attentionEntry, embedding, layerNorm, linear, type Unary } from "./layers.ts";
import { type BuildOptions, tokenInput } from "./model.ts";
import {
  allOfHead,
  block,
  layers,
  type ModelFamily,
  type ModelTree,
  type Module,
  named,
  ofHead,
  type Place,
  silent,
} from "./module.ts";
import { firstToken } from "./pooling.ts";
import { runningCount } from "./sequence.ts";

export const bertFamily: ModelFamily = {
  modelTypes: ["bert", "roberta", "xlm-roberta", "camembert", "electra"],
  heads: bertHeads,
  layerFields: ["num_hidden_layers"],
  read: (config, sink) => {
    const settings = readBertConfig(config, sink);
    const types = { name: "token_type_ids", dtype: "i32", limit: settings.tokenTypes, fill: 0 } as const;
    const inputs = [tokenInput(settings.defaults.vocabulary), types];
    return { root: rootOf(settings), prefix: settings.name, inputs, defaults: settings.defaults };
  },
  /** Files made from TensorFlow's checkpoints call gain and bias of a norm gamma and beta. */
  otherKeys: (key) => [
    key.replace(/LayerNorm\.weight$/, "LayerNorm.gamma").replace(/LayerNorm\.bias$/, "LayerNorm.beta"),
    key.replace(/^(cls\.predictions|lm_head)\.bias$/, "$1.decoder.bias"),
    key.replace(/^(cls\.predictions|lm_head)\.decoder\.bias$/, "$1.bias"),
  ],
};

/** What is read of a batch. Ports are made where they are read. */
interface Input {
  readonly port: (name: string) => number;
  readonly masked: boolean;
}

type Encoder = (input: Input) => number;

const inputOf = ({ builder }: Place, { batch, length, mask }: BuildOptions): Input => ({
  port: (name) => builder.port(name, "input", "i32", [batch, length]),
  masked: mask,
});

/** The layers of the head of masked tokens, and their names. */
function maskedHead(settings: BertSettings): Readonly<Record<string, Module<Unary>>> {
  const { name, hidden, embeddingWidth, epsilon, tied, defaults } = settings;
  const table = `${name}.embeddings.word_embeddings.weight`;
  if (name === "electra") {
    const generator_predictions = block(
      {
        ...{ activation: silent, LayerNorm: layerNorm(embeddingWidth, epsilon) },
        dense: linear(hidden, embeddingWidth, true),
      },
      (modules, { builder }) =>
        (x: number) =>
          modules.LayerNorm(activate(builder, "gelu", modules.dense(x))),
    );
    const weight = tied ? table : undefined;
    return { generator_predictions, generator_lm_head: linear(embeddingWidth, defaults.vocabulary, true, { weight }) };
  }
  if (name === "roberta") {
    const decoder = linear(hidden, defaults.vocabulary, true, tied ? { bias: "lm_head.bias", weight: table } : {});
    const lm_head = block(
      { dense: linear(hidden, hidden, true), layer_norm: layerNorm(hidden, epsilon), decoder },
      (modules, { builder }) =>
        (x: number) =>
          modules.decoder(modules.layer_norm(activate(builder, "gelu", modules.dense(x)))),
    );
    return { lm_head };
  }
  return { cls: predictions({ ...settings, vocabulary: defaults.vocabulary, table: tied ? table : undefined }) };
}

function rootOf(settings: BertSettings): ModelTree["root"] {
  const { name, kind, hidden, fresh, defaults } = settings;
  if (kind === "none")
    return encoderAlone(encoder(settings), inputOf, name === "electra" ? undefined : poolerOf(hidden));
  const head = allOfHead(headModules(settings), fresh);
  // What computes; other modules of a head do nothing.
  const made = Object.keys(head).filter((layer) => layer !== "dropout");
  const pools = kind === "sequence" && name === "bert";
  const body = { [name]: encoder(settings, pools ? ofHead(poolerOf(hidden), fresh) : undefined) };
  const isHeadFirst = defaults.modelType !== name;
  return block(
    isHeadFirst ? { ...head, ...body } : { ...body, ...head },
    (modules, place) => (options) =>
      made.reduce(
        (x, layer) => named<Unary>(modules, layer)(x),
        named<Encoder>(modules, name)(inputOf(place, options)),
      ),
  );
}

/** The modules of the head at the top. Rows are classified from the first token, through a layer with tanh, which BERT has in the encoder and RoBERTa in the head. */
function headModules(settings: BertSettings): Readonly<Record<string, Module>> {
  const { name, kind, hidden, defaults } = settings;
  if (kind === "masked") return maskedHead(settings);
  if (kind === "span") return { qa_outputs: linear(hidden, 2, true) };
  const out = linear(hidden, defaults.head.classes, true);
  if (kind === "token" || name === "bert") return { dropout: silent, classifier: out };
  const dense = linear(hidden, hidden, true);
  const end = { dropout: silent, out_proj: out };
  const ofRows = name === "electra" ? { dense, activation: silent, ...end } : { dense, ...end };
  return { classifier: rowClassifier(ofRows, name === "electra" ? "gelu" : "tanh") };
}

const rowClassifier = (
  modules: { readonly dense: Module<Unary>; readonly out_proj: Module<Unary> },
  activation: "tanh" | "gelu",
): Module<Unary> =>
  block(modules, ({ dense, out_proj }, place) => (stream) => {
    if (activation === "tanh") return out_proj(pooled(place, dense, stream));
    return out_proj(activate(place.builder, activation, dense(firstToken(place, stream))));
  });

function encoder(settings: BertSettings, pooler?: Module<Unary>): Module<Encoder> {
  const { hidden } = settings;
  const stack = block(
    { layer: layers(settings.layers, () => layer(settings)) },
    (modules) => (x: number, seen: number | undefined) => modules.layer.reduce((stream, one) => one(stream, seen), x),
  );
  const { embeddingWidth: width } = settings;
  const embeddings_project = width === hidden ? undefined : linear(width, hidden, true);
  return block(
    { embeddings: embeddings(settings), embeddings_project, encoder: stack, pooler },
    (modules, { builder }) =>
      (input) => {
        const seen = input.masked ? unpadded(builder, input.port("attention_mask")) : undefined;
        const embedded = modules.embeddings(input);
        const stream = modules.encoder(modules.embeddings_project?.(embedded) ?? embedded, seen);
        return modules.pooler?.(stream) ?? stream;
      },
  );
}

function embeddings({
  name,
  embeddingWidth,
  positions,
  tokenTypes,
  epsilon,
  padding,
  defaults,
}: BertSettings): Module<Encoder> {
  const tables = {
    word_embeddings: embedding(defaults.vocabulary, embeddingWidth),
    token_type_embeddings: embedding(tokenTypes, embeddingWidth),
    position_embeddings: embedding(positions, embeddingWidth),
  };
  const end = { LayerNorm: layerNorm(embeddingWidth, epsilon), dropout: silent };
  const { word_embeddings, token_type_embeddings, position_embeddings } = tables;
  const order =
    name !== "roberta"
      ? { word_embeddings, position_embeddings, token_type_embeddings, ...end }
      : { word_embeddings, token_type_embeddings, ...end, position_embeddings };
  return block(order, (modules, { builder }) => ({ port }) => {
    const ids = port("input_ids");
    const words = modules.word_embeddings(ids);
    const kinds = modules.token_type_embeddings(port("token_type_ids"));
    const places = modules.position_embeddings(positionsOf(builder, ids, padding));
    return modules.LayerNorm(builder.plus(builder.plus(words, kinds), places));
  });
}

/** 0, 1, 2 ..; of RoBERTa [b, s]: padding tokens stand at their own number, the others count on from behind it. */
function positionsOf(builder: Builder, ids: number, padding: number | undefined): number {
  const [batch, length] = builder.shape(ids) as [number, number];
  if (padding === undefined) return builder.iota([length], 0);
  const real = builder.cast(
    builder.add("not", [builder.compare("eq", ids, builder.constantLike(ids, padding))]),
    "f32",
  );
  const count = runningCount(builder, real);
  return builder.cast(builder.plus(count, builder.constant(padding, [batch, length])), "i32");
}

const layer = (settings: BertSettings): Module<(x: number, seen: number | undefined) => number> => {
  const { hidden, heads } = settings;
  const part = (): Module<Unary> => linear(hidden, hidden, true);
  const self = block(
    { query: part(), key: part(), value: part(), dropout: silent },
    ({ query, key, value }, place) =>
      (x: number, seen: number | undefined) =>
        attendAll(place, [query(x), key(x), value(x)], heads, seen),
    attentionEntry(),
  );
  return normedLayer(settings, self);
};
