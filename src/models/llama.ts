/**
 * The family llama, mistral, qwen2: embedding; per layer RMSNorm, grouped-query attention with rotary embedding, RMSNorm,
 * gated MLP, each half added to the residual stream; RMSNorm; head.
 */
import { attention, causal, type DecoderLayer, gatedMlp } from "./decoder.ts";
import { embedding, linear, rmsNorm } from "./layers.ts";
import { type LlamaSettings, readLlamaConfig } from "./llama-config.ts";
import { tokenInput } from "./model.ts";
import { block, layers, type ModelFamily, type Module } from "./module.ts";
import { rotary } from "./rope.ts";
import type { Text } from "./text.ts";

export const llamaFamily: ModelFamily = {
  modelTypes: ["llama", "mistral", "qwen2"],
  layerFields: ["num_hidden_layers"],
  read: (config, sink) => {
    const settings = readLlamaConfig(config, sink);
    const { vocabulary, hidden, tied, defaults } = settings;
    const weight = tied ? "model.embed_tokens.weight" : undefined;
    const root = causal("model", decoder(settings), linear(hidden, vocabulary, false, { weight }));
    return { root, inputs: [tokenInput(vocabulary)], defaults };
  },
};

const decoder = (settings: LlamaSettings): Module<(text: Text) => number> => {
  const { vocabulary, hidden, headWidth, epsilon, windows } = settings;
  return block(
    {
      embed_tokens: embedding(vocabulary, hidden),
      layers: layers(windows.length, () => layer(settings)),
      norm: rmsNorm(hidden, epsilon),
      rotary_emb: rotary(headWidth, settings.rope),
    },
    (modules) => (text) => {
      const tables = modules.rotary_emb(text.positions, text.keys);
      const stream = text.embedded(modules.embed_tokens);
      const last = modules.layers.reduce(
        (x, one, index) => one(x, { text, tables, seen: text.seen(windows[index]) }),
        stream,
      );
      return modules.norm(last);
    },
  );
};

const layer = (settings: LlamaSettings): Module<DecoderLayer> => {
  const { hidden, intermediate, activation, epsilon, mlpBias, biasFields } = settings;
  const bias = [settings.queryKeyValueBias, settings.outputBias] as const;
  return block(
    {
      self_attn: attention({ ...settings, bias, biasField: biasFields.attention, output: "o_proj" }),
      mlp: gatedMlp(hidden, intermediate, activation, mlpBias, biasFields.mlp),
      input_layernorm: rmsNorm(hidden, epsilon),
      post_attention_layernorm: rmsNorm(hidden, epsilon),
    },
    (modules, { builder }) =>
      (x, input) => {
        const attended = builder.plus(x, modules.self_attn(modules.input_layernorm(x), input));
        return builder.plus(attended, modules.mlp(modules.post_attention_layernorm(attended)));
      },
  );
};
