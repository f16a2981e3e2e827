/** The modules of llama, mistral and qwen2 models, as `named_modules()` of transformers 5 lists them. */
import type { LlamaSettings } from "./llama-config.ts";
import type { ModuleInfo } from "./model.ts";
import { attentionModule, container, embedding, linear, norm } from "./modules.ts";

export const embeddingPath = "model.embed_tokens";
export const headPath = "lm_head";
export const finalNormPath = "model.norm";
export const layerPath = (layer: number): string => `model.layers.${layer}`;

function layerModules(settings: LlamaSettings, layer: number): ModuleInfo[] {
  const path = layerPath(layer);
  const [attention, mlp] = [`${path}.self_attn`, `${path}.mlp`];
  const { hidden, intermediate, heads, keyValueHeads, headWidth, queryKeyValueBias, outputBias, mlpBias } = settings;
  const fields = settings.biasFields;
  return [
    container(path),
    attentionModule(attention, { in: hidden, out: keyValueHeads * headWidth, keyHeads: keyValueHeads }),
    linear(`${attention}.q_proj`, hidden, heads * headWidth, queryKeyValueBias, fields.attention),
    linear(`${attention}.k_proj`, hidden, keyValueHeads * headWidth, queryKeyValueBias, fields.attention),
    linear(`${attention}.v_proj`, hidden, keyValueHeads * headWidth, queryKeyValueBias, fields.attention),
    linear(`${attention}.o_proj`, heads * headWidth, hidden, outputBias, fields.attention),
    container(mlp),
    linear(`${mlp}.gate_proj`, hidden, intermediate, mlpBias, fields.mlp),
    linear(`${mlp}.up_proj`, hidden, intermediate, mlpBias, fields.mlp),
    linear(`${mlp}.down_proj`, intermediate, hidden, mlpBias, fields.mlp),
    container(`${mlp}.act_fn`),
    norm(`${path}.input_layernorm`, hidden, false),
    norm(`${path}.post_attention_layernorm`, hidden, false),
  ];
}

export function llamaModules(settings: LlamaSettings): readonly ModuleInfo[] {
  const { vocabulary, hidden, layers, tied } = settings;
  const table = `${embeddingPath}.weight`;
  return [
    container("model"),
    embedding(embeddingPath, vocabulary, hidden),
    container("model.layers"),
    ...Array.from({ length: layers }, (_unused, layer) => layerModules(settings, layer)).flat(),
    norm(finalNormPath, hidden, false),
    container("model.rotary_emb"),
    { ...linear(headPath, hidden, vocabulary, false), weight: tied ? table : `${headPath}.weight` },
  ];
}
