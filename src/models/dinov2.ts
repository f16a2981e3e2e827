/**
 * DINOv2 for image classification: ViT whose branches are scaled entry by entry before they are added to the stream; a classifier on the class
 * token and the mean of the patches.
 */
import { positiveInteger, requireValue } from "./config.ts";
import { layerNorm, type Unary, withBias } from "./layers.ts";
import { mlp } from "./mlp.ts";
import type { ModelConfig } from "./model.ts";
import { block, layers, type ModelFamily, type Module, type Place, silent } from "./module.ts";
import { firstToken } from "./pooling.ts";
import { embeddings, type ImageSettings, imageAttention, imageHeads, imageModel, readImageConfig } from "./vit.ts";

export const dinov2Family: ModelFamily = {
  modelTypes: ["dinov2"],
  heads: imageHeads,
  layerFields: ["num_hidden_layers"],
  read: (config, sink) => {
    const settings = readImageConfig(config, sink, { modelType: "dinov2", patch: 14, epsilon: 1e-6 });
    return imageModel(config, settings, {
      ...{ name: "dinov2", encoder: encoder(settings, config), row: classAndPatches, width: 2 * settings.hidden },
    });
  },
  otherKeys: (key) => [
    key
      .replace(/attention\.o_proj\./, "attention.output.dense.")
      .replace(/attention\.([qkv])_proj\./, (_all, of: string) => {
        const name = { q: "query", k: "key", v: "value" }[of]!;
        return `attention.attention.${name}.`;
      }),
  ],
};

const encoder = (settings: ImageSettings, config: ModelConfig): Module<Unary> => {
  const stack = block(
    { layer: layers(settings.defaults.layers, () => layer(settings, config)) },
    (modules) => (x: number) => modules.layer.reduce((stream, one) => one(stream), x),
  );
  const parts = { embeddings: embeddings(settings), encoder: stack };
  return block(
    { ...parts, layernorm: layerNorm(settings.hidden, settings.epsilon) },
    (modules) => (pixels) => modules.layernorm(modules.encoder(modules.embeddings(pixels))),
  );
};

/** The class token, and the mean of the patches behind it. */
function classAndPatches(place: Place, stream: number): number {
  const { builder } = place;
  const [batch, length, width] = builder.shape(stream) as [number, number, number];
  const patches = builder.slice(stream, [0, 1, 0], [batch, length, width]);
  const mean = builder.scale(builder.sum(patches, [1]), 1 / (length - 1));
  return builder.concat([firstToken(place, stream), mean], 1);
}

/** Every entry of the last axis times a factor of its own. */
const layerScale = (width: number): Module<Unary> => ({
  entry: (path) => ({
    ...{ path, kind: "container", layout: "linear" },
    parameters: { lambda1: { key: `${path}.lambda1`, shape: [width] } },
  }),
  children: {},
  call:
    ({ builder, sites, path }) =>
    (x) =>
      builder.mul(x, sites.parameter(path, "lambda1")),
});

function layer(settings: ImageSettings, config: ModelConfig): Module<Unary> {
  const { hidden, epsilon, activation } = settings;
  const inner = hidden * positiveInteger(config, "mlp_ratio", 4);
  requireValue(config, "use_swiglu_ffn", false);
  return block(
    {
      norm1: layerNorm(hidden, epsilon),
      attention: imageAttention(settings),
      ...{ layer_scale1: layerScale(hidden), drop_path: silent },
      norm2: layerNorm(hidden, epsilon),
      mlp: mlp(hidden, {
        names: { activation_fn: "silent", fc1: "up", fc2: "down" },
        ...{ inner, activation, bias: withBias },
      }),
      layer_scale2: layerScale(hidden),
    },
    (modules, { builder }) =>
      (x) => {
        const attended = builder.plus(modules.layer_scale1(modules.attention(modules.norm1(x))), x);
        return builder.plus(modules.layer_scale2(modules.mlp(modules.norm2(attended))), attended);
      },
  );
}
