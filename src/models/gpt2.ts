/**
 * GPT-2: embeddings of tokens and positions; per layer LayerNorm, attention, LayerNorm, MLP, each half added to the residual stream;
 * LayerNorm; head, tied to the token embedding. Its linear layers are stored as [in, out] (`Conv1D`).
 */
import { DiagnosticSink } from "../ir/diagnostics.ts";
import type { Graph } from "../ir/graph.ts";
import { type Activation, activate, readActivation } from "./activation.ts";
import { visibility, withOnes } from "./attention.ts";
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
import { finishModel } from "./head.ts";
import {
  type BuildOptions,
  type ModelConfig,
  type ModelDefaults,
  type ModelFamily,
  type ModuleInfo,
  noVirtualTokens,
  tokenInput,
} from "./model.ts";
import { attentionModule, container, conv1d, embedding, linear, norm } from "./modules.ts";
import { headWidth } from "./shapes.ts";
import { type Layer, SiteBuilder } from "./sites.ts";

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
  describe: (config, sink) => {
    const settings = readGpt2Config(config, sink);
    return {
      modules: gpt2Modules(settings),
      inputs: [tokenInput(settings.defaults.vocabulary)],
      defaults: settings.defaults,
    };
  },
  /** The files of the first releases lack the prefix. */
  otherKeys: (key) => [key.replace(/^transformer\./, "")],
  build: (config, modules, options) =>
    new Gpt2Builder(readGpt2Config(config, new DiagnosticSink()), modules, options).build(),
};

function readGpt2Config(config: ModelConfig, sink: DiagnosticSink): Gpt2Settings {
  requirePlainCausalModel(config, "LMHeadModel");
  warnOfDropout(config, ["attn_pdrop", "embd_pdrop", "resid_pdrop"], sink);
  requireValue(config, "add_cross_attention", false);
  const hidden = positiveInteger(config, "n_embd", 768);
  const heads = positiveInteger(config, "n_head", 12);
  const layers = layerCount(config, "n_layer", 12);
  const vocabulary = positiveInteger(config, "vocab_size", 50257);
  const scale = flag(config, "scale_attn_weights", true)
    ? 1 / Math.sqrt(headWidth(hidden, heads, "n_embd, n_head"))
    : 1;
  const byLayer = flag(config, "scale_attn_by_inverse_layer_idx", false);
  return {
    hidden,
    inner: positiveInteger(config, "n_inner", 4 * hidden),
    layers,
    heads,
    epsilon: positiveNumber(config, "layer_norm_epsilon", 1e-5),
    activation: readActivation(config, "activation_function", "gelu_new"),
    tied: flag(config, "tie_word_embeddings", true),
    scales: Array.from({ length: layers }, (_unused, layer) => (byLayer ? scale / (layer + 1) : scale)),
    defaults: {
      modelType: "gpt2",
      head: { kind: "causal", classes: vocabulary },
      vocabulary,
      hidden,
      layers,
      maximumLength: positiveInteger(config, "n_positions", 1024),
      limitsLength: true,
      ...specialTokens(config),
    },
  };
}

const layerPath = (layer: number): string => `transformer.h.${layer}`;

function layerModules({ hidden, inner, heads }: Gpt2Settings, layer: number): ModuleInfo[] {
  const path = layerPath(layer);
  return [
    container(path),
    norm(`${path}.ln_1`, hidden, true),
    attentionModule(`${path}.attn`, { in: hidden, out: hidden, keyHeads: heads }),
    conv1d(`${path}.attn.c_attn`, hidden, 3 * hidden),
    conv1d(`${path}.attn.c_proj`, hidden, hidden),
    container(`${path}.attn.attn_dropout`),
    container(`${path}.attn.resid_dropout`),
    norm(`${path}.ln_2`, hidden, true),
    container(`${path}.mlp`),
    conv1d(`${path}.mlp.c_fc`, hidden, inner),
    conv1d(`${path}.mlp.c_proj`, inner, hidden),
    container(`${path}.mlp.act`),
    container(`${path}.mlp.dropout`),
  ];
}

function gpt2Modules(settings: Gpt2Settings): ModuleInfo[] {
  const { hidden, layers, tied, defaults } = settings;
  const head = linear("lm_head", hidden, defaults.vocabulary, false);
  return [
    container("transformer"),
    embedding("transformer.wte", defaults.vocabulary, hidden),
    embedding("transformer.wpe", defaults.maximumLength, hidden),
    container("transformer.drop"),
    container("transformer.h"),
    ...Array.from({ length: layers }, (_unused, layer) => layerModules(settings, layer)).flat(),
    norm("transformer.ln_f", hidden, true),
    tied ? { ...head, weight: "transformer.wte.weight" } : head,
  ];
}

class Gpt2Builder {
  private readonly sites: SiteBuilder;
  /** Positions of the graph: virtual tokens, then the text. */
  private readonly positions: number;

  constructor(
    private readonly settings: Gpt2Settings,
    modules: readonly ModuleInfo[],
    private readonly options: BuildOptions,
  ) {
    this.sites = new SiteBuilder("gpt2", modules, options.weightTypes);
    this.positions = (options.virtual ?? noVirtualTokens).tokens + options.length;
  }

  build(): Graph {
    const { settings, sites, options } = this;
    const { builder } = sites;
    const { batch, length, virtual: { tokens, keys } = noVirtualTokens } = options;
    const ids = builder.port("input_ids", "input", "i32", [batch, length]);
    const given = options.mask ? builder.port("attention_mask", "input", "i32", [batch, length]) : undefined;
    const mask = given === undefined ? undefined : withOnes(builder, given, tokens);
    const places = builder.iota([this.positions], 0);
    const numbers = keys === 0 ? places : builder.plus(places, builder.constantLike(places, keys));
    const positions = sites.embedding("transformer.wpe", numbers);
    const words = sites.prompt("transformer.wte", sites.embedding("transformer.wte", ids), tokens);
    let stream = sites.within("transformer", () => builder.plus(words, positions));
    const seen = sites.within("transformer", () => visibility(builder, this.positions, mask, undefined, keys));
    for (let layer = 0; layer < settings.layers; layer++) stream = this.layer(layer, stream, seen);
    const logits = sites.linear("lm_head", this.norm("transformer.ln_f", stream));
    return finishModel(builder, settings.defaults.head, logits, options, tokens);
  }

  private norm(path: string, x: number): number {
    return this.sites.norm(path, x, "layer", this.settings.epsilon);
  }

  private layer(layer: number, x: number, seen: number): number {
    const { sites } = this;
    const path = layerPath(layer);
    const add = (a: number, b: number): number => sites.within(path, (builder) => builder.plus(a, b));
    const attended = add(x, this.attention(layer, this.norm(`${path}.ln_1`, x), seen));
    const inner = sites.linear(`${path}.mlp.c_fc`, this.norm(`${path}.ln_2`, attended));
    const active = sites.within(`${path}.mlp`, (builder) => activate(builder, this.settings.activation, inner));
    return add(attended, sites.linear(`${path}.mlp.c_proj`, active));
  }

  private attention(layer: number, x: number, seen: number): number {
    const { batch, virtual = noVirtualTokens } = this.options;
    const { heads, hidden, scales } = this.settings;
    const length = this.positions;
    const path = `${layerPath(layer)}.attn`;
    const all = this.sites.linear(`${path}.c_attn`, x);
    const context = this.sites.within(path, (builder) => {
      const part = (i: number): number => builder.slice(all, [0, 0, i * hidden], [batch, length, (i + 1) * hidden]);
      const split = (y: number, ...groups: number[]): number =>
        builder.reshape(y, [batch, length, heads, ...groups, hidden / heads]);
      const attended = this.sites.attention(path, {
        queries: split(part(0), 1),
        keys: split(part(1)),
        values: split(part(2)),
        seen,
        scale: scales[layer]!,
        keyLayer: this.part(path, 1),
        valueLayer: this.part(path, 2),
        before: virtual.keys,
      });
      return builder.reshape(attended, [batch, length, hidden]);
    });
    return this.sites.attended(path, this.sites.linear(`${path}.c_proj`, context));
  }

  /** The layer of queries, keys or values (0, 1, 2) in the joint one. */
  private part(path: string, index: number): Layer {
    const { hidden } = this.settings;
    const { weight, bias } = this.sites.layer(`${path}.c_attn`);
    const { builder } = this.sites;
    const [from, to] = [index * hidden, (index + 1) * hidden];
    return {
      weight: builder.slice(weight, [from, 0], [to, hidden]),
      bias: builder.slice(bias!, [from], [to]),
    };
  }
}
