/**
 * Phi: embedding; per layer one LayerNorm, whose result goes through attention (rotary embedding on the first part of every head) and MLP side
 * by side, both added to the residual stream; LayerNorm; head with a bias.
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
import { attention, causal, type DecoderLayer, mlp } from "./decoder.ts";
import { embedding, layerNorm, linear } from "./layers.ts";
import { type ModelConfig, type ModelDefaults, tokenInput } from "./model.ts";
import { block, layers, type ModelFamily, type Module, silent } from "./module.ts";
import { type RopeSettings, readPartialRope, rotary } from "./rope.ts";
import { headWidth, wholeParts } from "./shapes.ts";
import type { Text } from "./text.ts";

interface PhiSettings {
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyHeads: number;
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
  read: (config, sink) => {
    const settings = readPhiConfig(config, sink);
    const { hidden, defaults } = settings;
    const root = causal("model", decoder(settings), linear(hidden, defaults.vocabulary, true));
    return { root, inputs: [tokenInput(defaults.vocabulary)], defaults };
  },
};

function readPhiConfig(config: ModelConfig, sink: DiagnosticSink): PhiSettings {
  requirePlainCausalModel(config);
  warnOfDropout(config, ["resid_pdrop", "embd_pdrop", "attention_dropout"], sink);
  requireValue(config, "tie_word_embeddings", false);
  const hidden = positiveInteger(config, "hidden_size", 2048);
  const heads = positiveInteger(config, "num_attention_heads", 32);
  const count = layerCount(config, "num_hidden_layers", 24);
  const vocabulary = positiveInteger(config, "vocab_size", 51200);
  const keyHeads = positiveInteger(config, "num_key_value_heads", heads);
  wholeParts(heads, keyHeads, "num_attention_heads, num_key_value_heads");
  const width = positiveInteger(config, "head_dim", headWidth(hidden, heads, "hidden_size, num_attention_heads"));
  const { fraction, ...rope } = readPartialRope(config, 0.5);
  const rotated = Math.floor(width * fraction);
  wholeParts(rotated, 2, "partial_rotary_factor");
  return {
    hidden,
    intermediate: positiveInteger(config, "intermediate_size", 8192),
    layers: count,
    heads,
    keyHeads,
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
      layers: count,
      maximumLength: positiveInteger(config, "max_position_embeddings", 2048),
      ...specialTokens(config),
    },
  };
}

const decoder = (settings: PhiSettings): Module<(text: Text) => number> => {
  const { hidden, rotated, rope, epsilon, defaults } = settings;
  return block(
    {
      embed_tokens: embedding(defaults.vocabulary, hidden),
      layers: layers(settings.layers, () => layer(settings)),
      rotary_emb: rotary(rotated, rope),
      embed_dropout: silent,
      final_layernorm: layerNorm(hidden, epsilon),
    },
    (modules) => (text) => {
      const tables = modules.rotary_emb(text.positions, text.keys);
      const input = { text, tables, seen: text.seen() };
      const stream = text.embedded(modules.embed_tokens);
      return modules.final_layernorm(modules.layers.reduce((x, one) => one(x, input), stream));
    },
  );
};

const layer = (settings: PhiSettings): Module<DecoderLayer> => {
  const { hidden, intermediate, headWidth: width, epsilon, normalised, activation } = settings;
  const norms = { names: ["q_layernorm", "k_layernorm"], norm: layerNorm(width, epsilon) } as const;
  return block(
    {
      self_attn: attention({
        ...{ ...settings, bias: [true, true], output: "dense" },
        norms: normalised ? norms : undefined,
      }),
      mlp: mlp(
        {
          activation_fn: silent,
          fc1: linear(hidden, intermediate, true),
          fc2: linear(intermediate, hidden, true),
        },
        ["fc1", "fc2"],
        activation,
      ),
      input_layernorm: layerNorm(hidden, epsilon),
      resid_dropout: silent,
    },
    (modules, { builder }) =>
      (x, input) => {
        const normed = modules.input_layernorm(x);
        const attended = modules.self_attn(normed, input);
        return builder.plus(builder.plus(attended, modules.mlp(normed)), x);
      },
  );
};
