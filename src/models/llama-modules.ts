/** The modules of llama, mistral and qwen2 models, as `named_modules()` of transformers 5 lists them. */
import type { LlamaSettings } from "./llama-config.ts";
import type { ModuleInfo } from "./model.ts";

export const embeddingPath = "model.embed_tokens";
export const headPath = "lm_head";
export const finalNormPath = "model.norm";
export const layerPath = (layer: number): string => `model.layers.${layer}`;

const container = (path: string): ModuleInfo => ({ path, kind: "container", layout: "linear" });

const norm = (path: string, width: number): ModuleInfo => ({
  path,
  kind: "norm",
  weight: `${path}.weight`,
  in: width,
  out: width,
  layout: "linear",
});

const linear = (path: string, width: number, out: number, bias: boolean): ModuleInfo => ({
  path,
  kind: "linear",
  weight: `${path}.weight`,
  ...(bias ? { bias: `${path}.bias` } : {}),
  in: width,
  out,
  layout: "linear",
});

function layerModules(settings: LlamaSettings, layer: number): ModuleInfo[] {
  const path = layerPath(layer);
  const [attention, mlp] = [`${path}.self_attn`, `${path}.mlp`];
  const { hidden, intermediate, heads, keyValueHeads, headWidth, queryKeyValueBias, outputBias, mlpBias } = settings;
  return [
    container(path),
    { path: attention, kind: "attention", layout: "linear" },
    linear(`${attention}.q_proj`, hidden, heads * headWidth, queryKeyValueBias),
    linear(`${attention}.k_proj`, hidden, keyValueHeads * headWidth, queryKeyValueBias),
    linear(`${attention}.v_proj`, hidden, keyValueHeads * headWidth, queryKeyValueBias),
    linear(`${attention}.o_proj`, heads * headWidth, hidden, outputBias),
    container(mlp),
    linear(`${mlp}.gate_proj`, hidden, intermediate, mlpBias),
    linear(`${mlp}.up_proj`, hidden, intermediate, mlpBias),
    linear(`${mlp}.down_proj`, intermediate, hidden, mlpBias),
    container(`${mlp}.act_fn`),
    norm(`${path}.input_layernorm`, hidden),
    norm(`${path}.post_attention_layernorm`, hidden),
  ];
}

export function llamaModules(settings: LlamaSettings): readonly ModuleInfo[] {
  const { vocabulary, hidden, layers, tied } = settings;
  const table = `${embeddingPath}.weight`;
  return [
    container("model"),
    { path: embeddingPath, kind: "embedding", weight: table, in: vocabulary, out: hidden, layout: "linear" },
    container("model.layers"),
    ...Array.from({ length: layers }, (_unused, layer) => layerModules(settings, layer)).flat(),
    norm(finalNormPath, hidden),
    container("model.rotary_emb"),
    { ...linear(headPath, hidden, vocabulary, false), weight: tied ? table : `${headPath}.weight` },
  ];
}
