/**
 * T5: an encoder over the input and a decoder over the labels, shifted right, that also attends to the encoder's result. RMSNorm before every
 * part; attention without scaling, with a bias by relative position that the first layer of a stack holds for all of them.
 */
import type { Builder } from "../ir/builder.ts";
import { activate } from "./activation.ts";
import { attend, unpadded, visibility } from "./attention.ts";
import { attentionEntry, embedding, linear, rmsNorm, type Unary } from "./layers.ts";
import { ignoredLabel } from "./loss.ts";
import { type BuildOptions, tokenInput } from "./model.ts";
import { block, layers, list, type ModelFamily, type Module, named, silent } from "./module.ts";
import { relativeBuckets } from "./relative.ts";
import { readT5Config, type T5Settings, t5Heads } from "./t5-config.ts";

export const t5Family: ModelFamily = {
  modelTypes: ["t5", "mt5"],
  heads: t5Heads,
  layerFields: ["num_layers", "num_decoder_layers"],
  read: (config, sink) => {
    const settings = readT5Config(config, sink);
    const { hidden, defaults } = settings;
    const root = block(
      {
        shared: embedding(defaults.vocabulary, hidden),
        encoder: stack(settings, "encoder"),
        decoder: stack(settings, "decoder"),
        lm_head: linear(hidden, defaults.vocabulary, false),
      },
      ({ encoder, decoder, lm_head }, { builder }) =>
        ({ batch, length, labelLength = length, mask }: BuildOptions) => {
          const port = (name: string, columns = length): number => builder.port(name, "input", "i32", [batch, columns]);
          const padding = mask ? port("attention_mask") : undefined;
          const encoded = encoder(port("input_ids"), padding);
          return lm_head(decoder(port("labels", labelLength), padding, encoded));
        },
    );
    return { root, inputs: [tokenInput(defaults.vocabulary)], defaults };
  },
  /** The tables of both stacks, and the head unless it has one of its own, are one tensor of the file. */
  otherKeys: (key) => (/^(lm_head|(en|de)coder\.embed_tokens)\.weight$/.test(key) ? ["shared.weight"] : []),
};

/** What goes from layer to layer: the stream, and the bias of the scores f32[heads, length, length], which the first one makes for all. */
interface State {
  readonly x: number;
  readonly bias?: number;
}

/** What attention reads beside the state. `memory`: stream of keys and values; the queries' own unless given. */
interface Attended {
  readonly memory?: number;
  readonly seen: number | undefined;
}
type Attention = (state: State, read: Attended) => State;

type StackName = "encoder" | "decoder";

/** `ids`: tokens, or the labels of which the decoder reads all but the last; `mask` is that of the encoder's input, `memory` its result. */
function stack(settings: T5Settings, name: StackName): Module<(ids: number, mask?: number, memory?: number) => number> {
  const { hidden, epsilon, outputScale, defaults } = settings;
  return block(
    {
      embed_tokens: embedding(defaults.vocabulary, hidden),
      block: layers(settings.layers[name], (index) => layer(settings, name, index === 0)),
      final_layer_norm: rmsNorm(hidden, epsilon),
      dropout: silent,
    },
    (modules, { builder }) =>
      (ids, mask, memory) => {
        const length = builder.shape(ids)[1]!;
        const shown = mask === undefined ? undefined : unpadded(builder, mask, length);
        const encodes = memory === undefined;
        const seen = encodes ? shown : visibility(builder, length, undefined, undefined);
        const x = modules.embed_tokens(encodes ? ids : shifted(builder, ids, settings));
        const cross = encodes ? undefined : { memory, seen: shown };
        const last = modules.block.reduce<State>((state, one) => one(state, { seen }, cross), { x });
        const normed = modules.final_layer_norm(last.x);
        return encodes ? normed : builder.scale(normed, outputScale);
      },
  );
}

/** What the decoder reads: the start token, then the labels but the last, padding where they do not count. */
function shifted(builder: Builder, labels: number, { startToken, padToken }: T5Settings): number {
  const [batch, length] = builder.shape(labels) as [number, number];
  const ignored = builder.compare("eq", labels, builder.constantLike(labels, ignoredLabel));
  const tokens = builder.select(ignored, builder.constantLike(labels, padToken), labels);
  const start = builder.constant(startToken, [batch, 1], "i32");
  return length === 1 ? start : builder.concat([start, builder.slice(tokens, [0, 0], [batch, length - 1])], 1);
}

function layer(
  settings: T5Settings,
  name: StackName,
  isFirst: boolean,
): Module<(state: State, own: Attended, cross: Attended | undefined) => State> {
  const self = attentionPart(settings, "SelfAttention", isFirst ? name : undefined);
  const cross = name === "encoder" ? [] : [attentionPart(settings, "EncDecAttention")];
  return block({ layer: list([self, ...cross, feedForward(settings)]) }, (modules) => (state, own, other) => {
    const [first, ...rest] = modules.layer;
    return rest.reduce((before, part) => part(before, other ?? own), first!(state, own));
  });
}

/** `relativeTo`: the stack whose bias of the scores it makes. */
function attentionPart(settings: T5Settings, name: string, relativeTo?: StackName): Module<Attention> {
  const { hidden, epsilon } = settings;
  return block(
    { [name]: attention(settings, relativeTo), layer_norm: rmsNorm(hidden, epsilon), dropout: silent },
    (modules, { builder }) =>
      ({ x, bias }, read) => {
        const normed = { x: named<Unary>(modules, "layer_norm")(x), ...(bias === undefined ? {} : { bias }) };
        const made = named<Attention>(modules, name)(normed, read);
        return { ...made, x: builder.plus(x, made.x) };
      },
  );
}

function attention(settings: T5Settings, relativeTo: StackName | undefined): Module<Attention> {
  const { hidden, heads, headWidth, buckets, distance } = settings;
  const part = (): Module<Unary> => linear(hidden, heads * headWidth, false);
  const table = relativeTo === undefined ? undefined : embedding(buckets, heads);
  return block(
    { q: part(), k: part(), v: part(), o: linear(heads * headWidth, hidden, false), relative_attention_bias: table },
    (modules, { builder }) =>
      (state, { memory = state.x, seen }) => {
        const [batch, length] = builder.shape(state.x) as [number, number];
        const split = (y: number, ...groups: number[]): number =>
          builder.reshape(y, [batch, builder.shape(y)[1]!, heads, ...groups, headWidth]);
        const [queries, keys, values] = [
          split(modules.q(state.x), 1),
          split(modules.k(memory)),
          split(modules.v(memory)),
        ];
        const rows = modules.relative_attention_bias?.(
          relativeBuckets(builder, length, { buckets, distance, bothWays: relativeTo === "encoder" }),
        );
        const bias = rows === undefined ? state.bias : builder.transpose(rows, [2, 0, 1]);
        const biased = memory === state.x && bias !== undefined ? { bias } : {};
        const context = attend(builder, { queries, keys, values, seen, scale: 1, ...biased });
        return { ...state, ...biased, x: modules.o(builder.reshape(context, [batch, length, heads * headWidth])) };
      },
    attentionEntry(),
  );
}

function feedForward({ hidden, inner, gated, activation, epsilon }: T5Settings): Module<Attention> {
  const first = (): Module<Unary> => linear(hidden, inner, false);
  const end = { wo: linear(inner, hidden, false), dropout: silent, act: silent };
  const active = (builder: Builder, x: number): number => activate(builder, activation, x);
  const dense = gated
    ? block(
        { wi_0: first(), wi_1: first(), ...end },
        ({ wi_0, wi_1, wo }, { builder }) =>
          (x: number) =>
            wo(builder.mul(active(builder, wi_0(x)), wi_1(x))),
      )
    : block(
        { wi: first(), ...end },
        ({ wi, wo }, { builder }) =>
          (x: number) =>
            wo(active(builder, wi(x))),
      );
  return block(
    { DenseReluDense: dense, layer_norm: rmsNorm(hidden, epsilon), dropout: silent },
    (modules, { builder }) =>
      (state) => ({ ...state, x: builder.plus(state.x, modules.DenseReluDense(modules.layer_norm(state.x))) }),
  );
}
