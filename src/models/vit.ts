/**
 * ViT for image classification: patches of the image through a linear layer, behind a class token, plus positions; per layer LayerNorm,
 * attention in all directions, LayerNorm, MLP, each half added to the residual stream; LayerNorm; a classifier on the class token.
 */
import type { DiagnosticSink } from "../ir/diagnostics.ts";
import { type Activation, readActivation } from "./activation.ts";
import { flag, layerCount, positiveInteger, positiveNumber, requirePlainWeights, warnOfDropout } from "./config.ts";
import { attendAll, firstToken } from "./encoder.ts";
import { classes, headKind } from "./head.ts";
import { attentionEntry, layerNorm, linear, patches, type Unary, withBias } from "./layers.ts";
import { mlp } from "./mlp.ts";
import type { BuildOptions, ModelConfig, ModelDefaults } from "./model.ts";
import { block, layers, type ModelFamily, type Module, type Place, silent } from "./module.ts";
import { headWidth, wholeParts } from "./shapes.ts";

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
  read: (config, sink) => {
    const settings = readVitConfig(config, sink);
    const { hidden, channels, side, patch, defaults } = settings;
    const shape = [channels, side * patch, side * patch];
    const root = block(
      { vit: encoder(settings), classifier: linear(hidden, defaults.head.classes, true) },
      ({ vit, classifier }, { builder }) =>
        ({ batch }: BuildOptions) =>
          classifier(vit(builder.port("pixel_values", "input", "f32", [batch, ...shape]))),
    );
    return { ...{ root, prefix: "vit" }, inputs: [{ name: "pixel_values", dtype: "f32", rowShape: shape }], defaults };
  },
  otherKeys: (key) => [fileKey(key)],
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
  headKind(config, { sequence: "ForImageClassification" });
  warnOfDropout(config, ["hidden_dropout_prob", "attention_probs_dropout_prob"], sink);
  const hidden = positiveInteger(config, "hidden_size", 768);
  const heads = positiveInteger(config, "num_attention_heads", 12);
  const count = layerCount(config, "num_hidden_layers", 12);
  const patch = positiveInteger(config, "patch_size", 16);
  const side = wholeParts(positiveInteger(config, "image_size", 224), patch, "image_size, patch_size");
  headWidth(hidden, heads, "hidden_size, num_attention_heads");
  return {
    hidden,
    intermediate: positiveInteger(config, "intermediate_size", 3072),
    layers: count,
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
      layers: count,
      maximumLength: side * side + 1,
      endTokens: [],
    },
  };
}

const encoder = (settings: VitSettings): Module<Unary> =>
  block(
    {
      embeddings: embeddings(settings),
      layers: layers(settings.layers, () => layer(settings)),
      layernorm: layerNorm(settings.hidden, settings.epsilon),
    },
    (modules, place) => (pixels) => {
      const stream = modules.layers.reduce((x, one) => one(x), modules.embeddings(pixels));
      return firstToken(place, modules.layernorm(stream));
    },
  );

function embeddings({ hidden, channels, patch, side, defaults }: VitSettings): Module<Unary> {
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
      attention: attention(settings),
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

const attention = ({ hidden, heads, projectionBias }: VitSettings): Module<Unary> => {
  const part = (): Module<Unary> => linear(hidden, hidden, { has: projectionBias, field: "qkv_bias" });
  return block(
    { q_proj: part(), k_proj: part(), v_proj: part(), o_proj: linear(hidden, hidden, true) },
    ({ q_proj, k_proj, v_proj, o_proj }, place: Place) =>
      (x) =>
        o_proj(attendAll(place, [q_proj(x), k_proj(x), v_proj(x)], heads)),
    attentionEntry(),
  );
};
