/**
 * Phi: embedding; per layer one LayerNorm, whose result goes through attention (rotary embedding on the first part of every head) and MLP side
 * by side, both added to the residual stream; LayerNorm; head with a bias.
 */
import { DiagnosticSink } from "../ir/diagnostics.ts";
import type { Graph } from "../ir/graph.ts";
import { type Activation, activate, readActivation } from "./activation.ts";
import { attend, visibility } from "./attention.ts";
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
  tokenInput,
} from "./model.ts";
import { attentionModule, container, embedding, linear, norm } from "./modules.ts";
import { type RopeSettings, type RopeTables, readPartialRope, ropeTables, rotate } from "./rope.ts";
import { headWidth, wholeParts } from "./shapes.ts";
import { SiteBuilder } from "./sites.ts";

interface PhiSettings {
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headWidth: number;
  /** Width of the part of a head that is rotated. */
  readonly rotated: number;
  readonly epsilon: number;
  readonly activation: Activation;
  /** Queries and keys are normalised, head by head. */
  readonly normalised: boolean;
  readonly rope: RopeSettings;
  readonly defaults: ModelDefaults;
}

export const phiFamily: ModelFamily = {
  modelTypes: ["phi"],
  layerFields: ["num_hidden_layers"],
  describe: (config, sink) => {
    const settings = readPhiConfig(config, sink);
    const { defaults } = settings;
    return { modules: phiModules(settings), inputs: [tokenInput(defaults.vocabulary)], defaults };
  },
  build: (config, modules, options) =>
    new PhiBuilder(readPhiConfig(config, new DiagnosticSink()), modules, options).build(),
};

function readPhiConfig(config: ModelConfig, sink: DiagnosticSink): PhiSettings {
  requirePlainCausalModel(config);
  warnOfDropout(config, ["resid_pdrop", "embd_pdrop", "attention_dropout"], sink);
  requireValue(config, "tie_word_embeddings", false);
  const hidden = positiveInteger(config, "hidden_size", 2048);
  const heads = positiveInteger(config, "num_attention_heads", 32);
  const layers = layerCount(config, "num_hidden_layers", 24);
  const vocabulary = positiveInteger(config, "vocab_size", 51200);
  const keyValueHeads = positiveInteger(config, "num_key_value_heads", heads);
  wholeParts(heads, keyValueHeads, "num_attention_heads, num_key_value_heads");
  const width = positiveInteger(config, "head_dim", headWidth(hidden, heads, "hidden_size, num_attention_heads"));
  const { fraction, ...rope } = readPartialRope(config, 0.5);
  const rotated = Math.floor(width * fraction);
  wholeParts(rotated, 2, "partial_rotary_factor");
  return {
    hidden,
    intermediate: positiveInteger(config, "intermediate_size", 8192),
    layers,
    heads,
    keyValueHeads,
    headWidth: width,
    rotated,
    epsilon: positiveNumber(config, "layer_norm_eps", 1e-5),
    activation: readActivation(config, "hidden_act", "gelu_new"),
    normalised: flag(config, "qk_layernorm", false),
    rope,
    defaults: {
      modelType: "phi",
      head: { kind: "causal", classes: vocabulary },
      vocabulary,
      hidden,
      layers,
      maximumLength: positiveInteger(config, "max_position_embeddings", 2048),
      ...specialTokens(config),
    },
  };
}

const layerPath = (layer: number): string => `model.layers.${layer}`;

function layerModules(settings: PhiSettings, layer: number): ModuleInfo[] {
  const path = layerPath(layer);
  const { hidden, intermediate, heads, keyValueHeads, headWidth: width, normalised } = settings;
  const attention = `${path}.self_attn`;
  const norms = ["q_layernorm", "k_layernorm"].map((name) => norm(`${attention}.${name}`, width, true));
  return [
    container(path),
    attentionModule(attention),
    linear(`${attention}.q_proj`, hidden, heads * width, true),
    linear(`${attention}.k_proj`, hidden, keyValueHeads * width, true),
    linear(`${attention}.v_proj`, hidden, keyValueHeads * width, true),
    linear(`${attention}.dense`, heads * width, hidden, true),
    ...(normalised ? norms : []),
    container(`${path}.mlp`),
    container(`${path}.mlp.activation_fn`),
    linear(`${path}.mlp.fc1`, hidden, intermediate, true),
    linear(`${path}.mlp.fc2`, intermediate, hidden, true),
    norm(`${path}.input_layernorm`, hidden, true),
    container(`${path}.resid_dropout`),
  ];
}

function phiModules(settings: PhiSettings): ModuleInfo[] {
  const { hidden, layers, defaults } = settings;
  return [
    container("model"),
    embedding("model.embed_tokens", defaults.vocabulary, hidden),
    container("model.layers"),
    ...Array.from({ length: layers }, (_unused, layer) => layerModules(settings, layer)).flat(),
    container("model.rotary_emb"),
    container("model.embed_dropout"),
    norm("model.final_layernorm", hidden, true),
    linear("lm_head", hidden, defaults.vocabulary, true),
  ];
}

class PhiBuilder {
  private readonly sites: SiteBuilder;

  constructor(
    private readonly settings: PhiSettings,
    modules: readonly ModuleInfo[],
    private readonly options: BuildOptions,
  ) {
    this.sites = new SiteBuilder("phi", modules, options.weightTypes);
  }

  build(): Graph {
    const { settings, sites, options } = this;
    const { builder } = sites;
    const { batch, length } = options;
    const ids = builder.port("input_ids", "input", "i32", [batch, length]);
    const mask = options.mask ? builder.port("attention_mask", "input", "i32", [batch, length]) : undefined;
    const tables = sites.within("model.rotary_emb", () => ropeTables(builder, length, settings.rotated, settings.rope));
    const seen = sites.within("model", () => visibility(builder, length, mask, undefined));
    let stream = sites.embedding("model.embed_tokens", ids);
    for (let layer = 0; layer < settings.layers; layer++) stream = this.layer(layerPath(layer), stream, tables, seen);
    const logits = sites.linear("lm_head", this.norm("model.final_layernorm", stream));
    return finishModel(builder, settings.defaults.head, logits, options);
  }

  private norm(path: string, x: number): number {
    return this.sites.norm(path, x, "layer", this.settings.epsilon);
  }

  private layer(path: string, x: number, tables: RopeTables, seen: number): number {
    const { sites } = this;
    const normalised = this.norm(`${path}.input_layernorm`, x);
    const attended = this.attention(`${path}.self_attn`, normalised, tables, seen);
    const inner = sites.linear(`${path}.mlp.fc1`, normalised);
    const active = sites.within(`${path}.mlp`, (builder) => activate(builder, this.settings.activation, inner));
    const fed = sites.linear(`${path}.mlp.fc2`, active);
    return sites.within(path, (builder) => builder.plus(builder.plus(attended, fed), x));
  }

  private attention(path: string, x: number, tables: RopeTables, seen: number): number {
    const { batch, length } = this.options;
    const { heads, keyValueHeads, headWidth: width, normalised } = this.settings;
    const { sites } = this;
    const project = (name: string, ...shape: number[]): number => {
      const y = sites.linear(`${path}.${name}_proj`, x);
      return sites.within(path, (builder) => builder.reshape(y, [batch, length, ...shape, width]));
    };
    const placed = (name: string, y: number): number => {
      const ready = normalised ? this.norm(`${path}.${name}_layernorm`, y) : y;
      return sites.within(path, () => this.rotated(ready, tables));
    };
    const queries = placed("q", project("q", keyValueHeads, heads / keyValueHeads));
    const keys = placed("k", project("k", keyValueHeads));
    const values = project("v", keyValueHeads);
    const context = sites.within(path, (builder) =>
      builder.reshape(attend(builder, { queries, keys, values, seen }), [batch, length, heads * width]),
    );
    return sites.linear(`${path}.dense`, context);
  }

  /** The first part of every head turned, the rest as it is. */
  private rotated(x: number, tables: RopeTables): number {
    const { builder } = this.sites;
    const { rotated, headWidth: width } = this.settings;
    const shape = builder.shape(x);
    const last = shape.length - 1;
    const part = (from: number, to: number): number =>
      builder.slice(
        x,
        shape.map((_n, axis) => (axis === last ? from : 0)),
        shape.map((n, axis) => (axis === last ? to : n)),
      );
    const turned = rotate(builder, part(0, rotated), tables);
    return rotated === width ? turned : builder.concat([turned, part(rotated, width)], last);
  }
}
