/**
 * GPT-2: embeddings of tokens and positions; per layer LayerNorm, attention, LayerNorm, MLP, each half added to the residual stream;
 * LayerNorm; head, tied to the token embedding. Its linear layers are stored as [in, out] (`Conv1D`).
 */
import type { DiagnosticSink } from "../ir/diagnostics.ts";
import { type Activation, readActivation } from "./activation.ts";
import {
  flag,
  layerCount,
  positiveInteger,
  positiveNumber,
  requirePlainCausalModel,
  requireValue,
  specialTokens,
  warnOfDropout,
} from "./config.ts";
import { attended, causal, type DecoderLayer, mlp } from "./decoder.ts";
import { attentionEntry, conv1d, embedding, layerNorm, linear } from "./layers.ts";
import { type ModelConfig, type ModelDefaults, tokenInput } from "./model.ts";
import { block, layers, type ModelFamily, type Module, type Place, silent } from "./module.ts";
import { headWidth } from "./shapes.ts";
import type { Layer } from "./sites.ts";
import type { Text } from "./text.ts";

interface Gpt2Settings {
  readonly hidden: number;
  readonly inner: number;
  readonly layers: number;
  readonly heads: number;
  readonly epsilon: number;
  readonly activation: Activation;
  readonly tied: boolean;
  /** Factor of the attention scores, by layer. */
  readonly scales: readonly number[];
  readonly defaults: ModelDefaults;
}

export const gpt2Family: ModelFamily = {
  modelTypes: ["gpt2"],
  layerFields: ["n_layer"],
  read: (config, sink) => {
    const settings = readGpt2Config(config, sink);
    const { hidden, tied, defaults } = settings;
    const weight = tied ? "transformer.wte.weight" : undefined;
    const root = causal("transformer", decoder(settings), linear(hidden, defaults.vocabulary, false, { weight }));
    return { root, inputs: [tokenInput(defaults.vocabulary)], defaults };
  },
  /** The files of the first releases lack the prefix. */
  otherKeys: (key) => [key.replace(/^transformer\./, "")],
};

function readGpt2Config(config: ModelConfig, sink: DiagnosticSink): Gpt2Settings {
  requirePlainCausalModel(config, "LMHeadModel");
  warnOfDropout(config, ["attn_pdrop", "embd_pdrop", "resid_pdrop"], sink);
  requireValue(config, "add_cross_attention", false);
  const hidden = positiveInteger(config, "n_embd", 768);
  const heads = positiveInteger(config, "n_head", 12);
  const count = layerCount(config, "n_layer", 12);
  const vocabulary = positiveInteger(config, "vocab_size", 50257);
  const scale = flag(config, "scale_attn_weights", true)
    ? 1 / Math.sqrt(headWidth(hidden, heads, "n_embd, n_head"))
    : 1;
  const byLayer = flag(config, "scale_attn_by_inverse_layer_idx", false);
  return {
    hidden,
    inner: positiveInteger(config, "n_inner", 4 * hidden),
    layers: count,
    heads,
    epsilon: positiveNumber(config, "layer_norm_epsilon", 1e-5),
    activation: readActivation(config, "activation_function", "gelu_new"),
    tied: flag(config, "tie_word_embeddings", true),
    scales: Array.from({ length: count }, (_unused, layer) => (byLayer ? scale / (layer + 1) : scale)),
    defaults: {
      modelType: "gpt2",
      head: { kind: "causal", classes: vocabulary },
      vocabulary,
      hidden,
      layers: count,
      maximumLength: positiveInteger(config, "n_positions", 1024),
      limitsLength: true,
      ...specialTokens(config),
    },
  };
}

const decoder = (settings: Gpt2Settings): Module<(text: Text) => number> => {
  const { hidden, epsilon, scales, defaults } = settings;
  return block(
    {
      wte: embedding(defaults.vocabulary, hidden),
      wpe: embedding(defaults.maximumLength, hidden),
      drop: silent,
      h: layers(settings.layers, (index) => layer(settings, scales[index]!)),
      ln_f: layerNorm(hidden, epsilon),
    },
    (modules, { builder }) =>
      (text) => {
        const places = builder.iota([text.positions], 0);
        const numbers = text.keys === 0 ? places : builder.plus(places, builder.constantLike(places, text.keys));
        const positions = modules.wpe(numbers);
        const stream = builder.plus(text.embedded(modules.wte), positions);
        const input = { text, seen: text.seen() };
        return modules.ln_f(modules.h.reduce((x, one) => one(x, input), stream));
      },
  );
};

const layer = (settings: Gpt2Settings, scale: number): Module<DecoderLayer> => {
  const { hidden, inner, epsilon, activation } = settings;
  return block(
    {
      ln_1: layerNorm(hidden, epsilon),
      attn: attention(settings, scale),
      ln_2: layerNorm(hidden, epsilon),
      mlp: mlp(
        { c_fc: conv1d(hidden, inner), c_proj: conv1d(inner, hidden), act: silent, dropout: silent },
        ["c_fc", "c_proj"],
        activation,
      ),
    },
    (modules, { builder }) =>
      (x, input) => {
        const sum = builder.plus(x, modules.attn(modules.ln_1(x), input));
        return builder.plus(sum, modules.mlp(modules.ln_2(sum)));
      },
  );
};

/** Queries, keys and values come from one layer. */
const attention = ({ hidden, heads }: Gpt2Settings, scale: number): Module<DecoderLayer> =>
  block(
    {
      c_attn: conv1d(hidden, 3 * hidden),
      c_proj: conv1d(hidden, hidden),
      attn_dropout: silent,
      resid_dropout: silent,
    },
    (modules, place) => (x, input) => {
      const { builder, sites, path } = place;
      const { batch, positions } = input.text;
      const all = modules.c_attn(x);
      const part = (i: number, ...groups: number[]): number =>
        builder.reshape(builder.slice(all, [0, 0, i * hidden], [batch, positions, (i + 1) * hidden]), [
          ...[batch, positions, heads, ...groups, hidden / heads],
        ]);
      const [queries, keys, values] = [part(0, 1), part(1), part(2)];
      const [keyLayer, valueLayer] = [1, 2].map((index) => partOf(place, modules.c_attn.path, hidden, index)) as [
        Layer,
        Layer,
      ];
      const context = attended(place, { queries, keys, values, keyLayer, valueLayer }, scale, input);
      return sites.attended(path, modules.c_proj(context));
    },
    attentionEntry({ in: hidden, out: hidden, keyHeads: heads }),
  );

/** The layer of queries, keys or values (0, 1, 2) in the joint one. */
function partOf({ builder, sites }: Place, joint: string, hidden: number, index: number): Layer {
  const { weight, bias } = sites.layer(joint);
  const [from, to] = [index * hidden, (index + 1) * hidden];
  return { weight: builder.slice(weight, [from, 0], [to, hidden]), bias: builder.slice(bias!, [from], [to]) };
}
