/**
 * ViT for image classification: patches of the image through a linear layer, behind a class token, plus positions; per layer LayerNorm,
 * attention in all directions, LayerNorm, MLP, each half added to the residual stream; LayerNorm; a classifier on the class token.
 */
import { DiagnosticSink } from "../ir/diagnostics.ts";
import type { Graph } from "../ir/graph.ts";
import { type Activation, activate, readActivation } from "./activation.ts";
import { attend } from "./attention.ts";
import { flag, layerCount, positiveInteger, positiveNumber, requirePlainWeights, warnOfDropout } from "./config.ts";
import { classes, finishModel, requireArchitecture } from "./head.ts";
import type { BuildOptions, ModelConfig, ModelDefaults, ModelFamily, ModuleInfo } from "./model.ts";
import { attentionModule, container, linear, norm, patches } from "./modules.ts";
import { headWidth, wholeParts } from "./shapes.ts";
import { SiteBuilder } from "./sites.ts";

interface VitSettings {
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly epsilon: number;
  readonly activation: Activation;
  readonly projectionBias: boolean;
  readonly channels: number;
  readonly patch: number;
  /** Patches along one side of the image. */
  readonly side: number;
  readonly defaults: ModelDefaults;
}

export const vitFamily: ModelFamily = {
  modelTypes: ["vit"],
  layerFields: ["num_hidden_layers"],
  describe: (config, sink) => {
    const settings = readVitConfig(config, sink);
    const size = settings.side * settings.patch;
    return {
      modules: vitModules(settings),
      inputs: [{ name: "pixel_values", dtype: "f32", rowShape: [settings.channels, size, size] }],
      defaults: settings.defaults,
    };
  },
  otherKeys: (key) => [fileKey(key)],
  build: (config, modules, options) =>
    new VitBuilder(readVitConfig(config, new DiagnosticSink()), modules, options).build(),
};

/** Names in files, which transformers 5 translates on loading. */
const inFiles: readonly (readonly [string, string])[] = [
  ["vit.layers.", "vit.encoder.layer."],
  [".attention.q_proj.", ".attention.attention.query."],
  [".attention.k_proj.", ".attention.attention.key."],
  [".attention.v_proj.", ".attention.attention.value."],
  [".attention.o_proj.", ".attention.output.dense."],
  [".mlp.fc1.", ".intermediate.dense."],
  [".mlp.fc2.", ".output.dense."],
];

const fileKey = (key: string): string => inFiles.reduce((name, [memory, file]) => name.replace(memory, file), key);

function readVitConfig(config: ModelConfig, sink: DiagnosticSink): VitSettings {
  requirePlainWeights(config);
  requireArchitecture(config, "ForImageClassification");
  warnOfDropout(config, ["hidden_dropout_prob", "attention_probs_dropout_prob"], sink);
  const hidden = positiveInteger(config, "hidden_size", 768);
  const heads = positiveInteger(config, "num_attention_heads", 12);
  const layers = layerCount(config, "num_hidden_layers", 12);
  const patch = positiveInteger(config, "patch_size", 16);
  const side = wholeParts(positiveInteger(config, "image_size", 224), patch, "image_size, patch_size");
  headWidth(hidden, heads, "hidden_size, num_attention_heads");
  return {
    hidden,
    intermediate: positiveInteger(config, "intermediate_size", 3072),
    layers,
    heads,
    epsilon: positiveNumber(config, "layer_norm_eps", 1e-12),
    activation: readActivation(config, "hidden_act", "gelu"),
    projectionBias: flag(config, "qkv_bias", true),
    channels: positiveInteger(config, "num_channels", 3),
    patch,
    side,
    defaults: {
      modelType: "vit",
      head: { kind: "sequence", classes: classes(config) },
      vocabulary: 0,
      hidden,
      layers,
      maximumLength: side * side + 1,
      endTokens: [],
    },
  };
}

const layerPath = (layer: number): string => `vit.layers.${layer}`;

function layerModules({ hidden, intermediate, projectionBias }: VitSettings, layer: number): ModuleInfo[] {
  const path = layerPath(layer);
  const project = (name: string): ModuleInfo =>
    linear(`${path}.attention.${name}`, hidden, hidden, projectionBias, "qkv_bias");
  return [
    container(path),
    attentionModule(`${path}.attention`),
    project("q_proj"),
    project("k_proj"),
    project("v_proj"),
    linear(`${path}.attention.o_proj`, hidden, hidden, true),
    norm(`${path}.layernorm_before`, hidden, true),
    norm(`${path}.layernorm_after`, hidden, true),
    container(`${path}.mlp`),
    container(`${path}.mlp.activation_fn`),
    linear(`${path}.mlp.fc1`, hidden, intermediate, true),
    linear(`${path}.mlp.fc2`, intermediate, hidden, true),
    container(`${path}.dropout`),
  ];
}

function vitModules(settings: VitSettings): ModuleInfo[] {
  const { hidden, layers, channels, patch, defaults } = settings;
  const embeddings = "vit.embeddings";
  const parameters = {
    cls_token: { key: `${embeddings}.cls_token`, shape: [1, 1, hidden] },
    position_embeddings: { key: `${embeddings}.position_embeddings`, shape: [1, defaults.maximumLength, hidden] },
  };
  return [
    container("vit"),
    { ...container(embeddings), parameters },
    container(`${embeddings}.patch_embeddings`),
    patches(`${embeddings}.patch_embeddings.projection`, channels, patch, hidden),
    container(`${embeddings}.dropout`),
    container("vit.layers"),
    ...Array.from({ length: layers }, (_unused, layer) => layerModules(settings, layer)).flat(),
    norm("vit.layernorm", hidden, true),
    linear("classifier", hidden, defaults.head.classes, true),
  ];
}

class VitBuilder {
  private readonly sites: SiteBuilder;

  constructor(
    private readonly settings: VitSettings,
    modules: readonly ModuleInfo[],
    private readonly options: BuildOptions,
  ) {
    this.sites = new SiteBuilder("vit", modules, options.weightTypes);
  }

  build(): Graph {
    const { settings, sites, options } = this;
    const { builder } = sites;
    const { batch } = options;
    let stream = this.embeddings();
    for (let layer = 0; layer < settings.layers; layer++) stream = this.layer(layerPath(layer), stream);
    const normalised = this.norm("vit.layernorm", stream);
    const first = sites.within("vit", () =>
      builder.reshape(builder.slice(normalised, [0, 0, 0], [batch, 1, settings.hidden]), [batch, settings.hidden]),
    );
    const logits = sites.linear("classifier", first);
    return finishModel(builder, settings.defaults.head, logits, options);
  }

  private embeddings(): number {
    const { sites, settings, options } = this;
    const { builder } = sites;
    const { batch } = options;
    const { channels, patch, side, hidden } = settings;
    const path = "vit.embeddings";
    const pixels = builder.port("pixel_values", "input", "f32", [batch, channels, side * patch, side * patch]);
    const flat = sites.within(`${path}.patch_embeddings`, () => {
      const split = builder.reshape(pixels, [batch, channels, side, patch, side, patch]);
      const gathered = builder.transpose(split, [0, 2, 4, 1, 3, 5]);
      return builder.reshape(gathered, [batch, side * side, channels * patch * patch]);
    });
    const embedded = sites.linear(`${path}.patch_embeddings.projection`, flat);
    const token = sites.parameter(path, "cls_token");
    const positions = sites.parameter(path, "position_embeddings");
    return sites.within(path, () => {
      const tokens = builder.broadcastTo(token, [batch, 1, hidden]);
      return builder.plus(builder.concat([tokens, embedded], 1), positions);
    });
  }

  private norm(path: string, x: number): number {
    return this.sites.norm(path, x, "layer", this.settings.epsilon);
  }

  private layer(path: string, x: number): number {
    const { sites } = this;
    const add = (a: number, b: number): number => sites.within(path, (builder) => builder.plus(a, b));
    const attended = add(this.attention(`${path}.attention`, this.norm(`${path}.layernorm_before`, x)), x);
    const inner = sites.linear(`${path}.mlp.fc1`, this.norm(`${path}.layernorm_after`, attended));
    const active = sites.within(`${path}.mlp`, (builder) => activate(builder, this.settings.activation, inner));
    return add(sites.linear(`${path}.mlp.fc2`, active), attended);
  }

  private attention(path: string, x: number): number {
    const { heads, hidden } = this.settings;
    const project = (name: string): number => this.sites.linear(`${path}.${name}`, x);
    const [q, k, v] = [project("q_proj"), project("k_proj"), project("v_proj")];
    const context = this.sites.within(path, (builder) => {
      const [batch, length] = builder.shape(x) as [number, number];
      const split = (y: number, ...groups: number[]): number =>
        builder.reshape(y, [batch, length, heads, ...groups, hidden / heads]);
      const attended = attend(builder, { queries: split(q, 1), keys: split(k), values: split(v) });
      return builder.reshape(attended, [batch, length, hidden]);
    });
    return this.sites.linear(`${path}.o_proj`, context);
  }
}
