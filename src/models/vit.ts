/**
 * ViT for image classification: patches of the image through a linear layer, behind a class token, plus positions; per layer LayerNorm,
 * attention in all directions, LayerNorm, MLP, each half added to the residual stream; LayerNorm; a classifier on the class token, or none.
 */
import type { DiagnosticSink } from "../ir/diagnostics.ts";
import { type Activation, readActivation } from "./activation.ts";
import {
  flag,
  layerCount,
  positiveInteger,
  positiveNumber,
  requirePlainWeights,
  requireValue,
  warnOfDropout,
} from "./config.ts";
import { attendAll, encoderAlone, poolerOf } from "./encoder.ts";
import { freshHead, headKind, headNames, rowLabels } from "./head.ts";
import { attentionEntry, layerNorm, linear, patches, type Unary, withBias } from "./layers.ts";
import { mlp } from "./mlp.ts";
import type { BuildOptions, HeadNames, ModelConfig, ModelDefaults } from "./model.ts";
import {
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
import { headWidth, wholeParts } from "./shapes.ts";

/** Of both families; the layers of each are its own. */
export interface ImageSettings {
  readonly hidden: number;
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

interface VitSettings extends ImageSettings {
  readonly intermediate: number;
}

/** The heads of models of images. */
export const imageHeads: HeadNames = { sequence: "ForImageClassification", ...headNames("none") };

export const vitFamily: ModelFamily = {
  modelTypes: ["vit"],
  heads: imageHeads,
  layerFields: ["num_hidden_layers"],
  read: (config, sink) => {
    const settings = readVitConfig(config, sink);
    const { hidden } = settings;
    requireValue(config, "pooler_act", "tanh");
    return imageModel(config, settings, {
      ...{ name: "vit", width: hidden, encoder: encoder(settings), row: firstToken },
      pooler: poolerOf(hidden, positiveInteger(config, "pooler_output_size", hidden)),
    });
  },
  otherKeys: (key) => [fileKey(key)],
};

interface ImageParts {
  readonly name: string;
  /** Hidden states f32[b, 1 + patches, hidden] of images. */
  readonly encoder: Module<Unary>;
  /** What a classifier reads of them, f32[b, width]. */
  readonly row: (place: Place, stream: number) => number;
  readonly width: number;
  /** Only the model without a head has it. */
  readonly pooler?: Module<Unary>;
}

/** A classifier of images on what an encoder under its name makes of them, or the encoder alone. */
export function imageModel(
  config: ModelConfig,
  { channels, side, patch, hidden, defaults }: ImageSettings,
  { name, encoder, row, width, pooler }: ImageParts,
): ModelTree {
  const shape = [channels, side * patch, side * patch];
  const pixels = ({ builder }: Place, { batch }: BuildOptions): number =>
    builder.port("pixel_values", "input", "f32", [batch, ...shape]);
  const tree = { prefix: name, inputs: [{ name: "pixel_values", dtype: "f32" as const, rowShape: shape }] };
  if (headKind(config, imageHeads) === "none")
    return {
      ...{ ...tree, root: encoderAlone(encoder, pixels, pooler) },
      defaults: { ...defaults, head: { kind: "none", classes: hidden } },
    };
  const classifier = ofHead(linear(width, defaults.head.classes, true), freshHead(config));
  const root = block(
    { [name]: encoder, classifier },
    (modules, place) => (options: BuildOptions) =>
      named<Unary>(modules, "classifier")(row(place, named<Unary>(modules, name)(pixels(place, options)))),
  );
  return { ...tree, root, defaults };
}

/** Names in files, which/** Names in files, which transformers 5 translates on loading. */
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

/** What the configs of both families say alike. */
export function readImageConfig(
  config: ModelConfig,
  sink: DiagnosticSink,
  fallbacks: { readonly modelType: string; readonly patch: number; readonly epsilon: number },
): ImageSettings {
  requirePlainWeights(config);
  warnOfDropout(config, ["hidden_dropout_prob", "attention_probs_dropout_prob"], sink);
  const hidden = positiveInteger(config, "hidden_size", 768);
  const heads = positiveInteger(config, "num_attention_heads", 12);
  const layers = layerCount(config, "num_hidden_layers", 12);
  const patch = positiveInteger(config, "patch_size", fallbacks.patch);
  const side = wholeParts(positiveInteger(config, "image_size", 224), patch, "image_size, patch_size");
  headWidth(hidden, heads, "hidden_size, num_attention_heads");
  return {
    ...{ hidden, heads, patch, side },
    epsilon: positiveNumber(config, "layer_norm_eps", fallbacks.epsilon),
    activation: readActivation(config, "hidden_act", "gelu"),
    projectionBias: flag(config, "qkv_bias", true),
    channels: positiveInteger(config, "num_channels", 3),
    defaults: {
      modelType: fallbacks.modelType,
      head: { kind: "sequence", ...rowLabels(config) },
      ...{ vocabulary: 0, hidden, layers, maximumLength: side * side + 1, endTokens: [] },
    },
  };
}

const readVitConfig = (config: ModelConfig, sink: DiagnosticSink): VitSettings => ({
  ...readImageConfig(config, sink, { modelType: "vit", patch: 16, epsilon: 1e-12 }),
  intermediate: positiveInteger(config, "intermediate_size", 3072),
});

const encoder = (settings: VitSettings): Module<Unary> =>
  block(
    {
      embeddings: embeddings(settings),
      layers: layers(settings.defaults.layers, () => layer(settings)),
      layernorm: layerNorm(settings.hidden, settings.epsilon),
    },
    (modules) => (pixels) => modules.layernorm(modules.layers.reduce((x, one) => one(x), modules.embeddings(pixels))),
  );

/** A class token, then the patches of an image f32[b, channels, height, width], plus positions: f32[b, 1 + patches, hidden]. */
export function embeddings({ hidden, channels, patch, side, defaults }: ImageSettings): Module<Unary> {
  const patchEmbeddings = block(
    { projection: patches(channels, patch, hidden) },
    ({ projection }, { builder }) =>
      (pixels: number) => {
        const batch = builder.shape(pixels)[0]!;
        const split = builder.reshape(pixels, [batch, channels, side, patch, side, patch]);
        const gathered = builder.transpose(split, [0, 2, 4, 1, 3, 5]);
        return projection(builder.reshape(gathered, [batch, side * side, channels * patch * patch]));
      },
  );
  const parameters = (path: string) => ({
    cls_token: { key: `${path}.cls_token`, shape: [1, 1, hidden] },
    position_embeddings: { key: `${path}.position_embeddings`, shape: [1, defaults.maximumLength, hidden] },
  });
  return block(
    { patch_embeddings: patchEmbeddings, dropout: silent },
    (modules, { builder, sites, path }) =>
      (pixels) => {
        const embedded = modules.patch_embeddings(pixels);
        const [token, positions] = [sites.parameter(path, "cls_token"), sites.parameter(path, "position_embeddings")];
        const tokens = builder.broadcastTo(token, [builder.shape(pixels)[0]!, 1, hidden]);
        return builder.plus(builder.concat([tokens, embedded], 1), positions);
      },
    (path) => ({ path, kind: "container", layout: "linear", parameters: parameters(path) }),
  );
}

const layer = (settings: VitSettings): Module<Unary> => {
  const { hidden, intermediate, epsilon, activation } = settings;
  return block(
    {
      attention: imageAttention(settings),
      layernorm_before: layerNorm(hidden, epsilon),
      layernorm_after: layerNorm(hidden, epsilon),
      mlp: mlp(hidden, {
        names: { activation_fn: "silent", fc1: "up", fc2: "down" },
        ...{ inner: intermediate, activation, bias: withBias },
      }),
      dropout: silent,
    },
    (modules, { builder }) =>
      (x) => {
        const attended = builder.plus(modules.attention(modules.layernorm_before(x)), x);
        return builder.plus(modules.mlp(modules.layernorm_after(attended)), attended);
      },
  );
};

export const imageAttention = ({ hidden, heads, projectionBias }: ImageSettings): Module<Unary> => {
  const part = (): Module<Unary> => linear(hidden, hidden, { has: projectionBias, field: "qkv_bias" });
  return block(
    { q_proj: part(), k_proj: part(), v_proj: part(), o_proj: linear(hidden, hidden, true) },
    ({ q_proj, k_proj, v_proj, o_proj }, place: Place) =>
      (x) =>
        o_proj(attendAll(place, [q_proj(x), k_proj(x), v_proj(x)], heads)),
    attentionEntry(),
  );
};
