/** Modules of the golden base models and of small nets, as `named_modules()` lists them. */
import type { ModuleInfo, ModuleKind } from "../../src/models/model.ts";

type Row = [path: string, kind: ModuleKind, out?: number, in_?: number, bias?: boolean, layout?: "conv1d"];

const expand = (rows: Row[]): ModuleInfo[] =>
  rows.map(([path, kind, out, in_, bias, layout]) => ({
    path,
    kind,
    layout: layout ?? "linear",
    ...(kind === "container" || kind === "attention" ? {} : { weight: `${path}.weight` }),
    ...(kind === "attention" ? { keyHeads: 2 } : {}),
    ...(bias ? { bias: `${path}.bias` } : {}),
    ...(out === undefined ? {} : { out }),
    ...(in_ === undefined ? {} : { in: in_ }),
  }));

/** The golden llama: hidden 32, feedforward 48, grouped heads. */
export function llama(layers = 2): ModuleInfo[] {
  const block = (i: number): Row[] => {
    const p = `model.layers.${i}`;
    return [
      [p, "container"],
      [`${p}.self_attn`, "attention"],
      [`${p}.self_attn.q_proj`, "linear", 32, 32],
      [`${p}.self_attn.k_proj`, "linear", 16, 32],
      [`${p}.self_attn.v_proj`, "linear", 16, 32],
      [`${p}.self_attn.o_proj`, "linear", 32, 32],
      [`${p}.mlp`, "container"],
      [`${p}.mlp.gate_proj`, "linear", 48, 32],
      [`${p}.mlp.up_proj`, "linear", 48, 32],
      [`${p}.mlp.down_proj`, "linear", 32, 48],
      [`${p}.input_layernorm`, "norm", 32],
      [`${p}.post_attention_layernorm`, "norm", 32],
    ];
  };
  return expand([
    ["model", "container"],
    ["model.embed_tokens", "embedding", 32, 64],
    ["model.layers", "container"],
    ...Array.from({ length: layers }, (_, i) => block(i)).flat(),
    ["model.norm", "norm", 32],
    ["lm_head", "linear", 64, 32],
  ]);
}

/** The golden gpt2: Conv1D layers, tied head. */
export function gpt2(): ModuleInfo[] {
  const block = (i: number): Row[] => {
    const p = `transformer.h.${i}`;
    return [
      [p, "container"],
      [`${p}.ln_1`, "norm", 32, undefined, true],
      [`${p}.attn`, "attention"],
      [`${p}.attn.c_attn`, "linear", 96, 32, true, "conv1d"],
      [`${p}.attn.c_proj`, "linear", 32, 32, true, "conv1d"],
      [`${p}.ln_2`, "norm", 32, undefined, true],
      [`${p}.mlp`, "container"],
      [`${p}.mlp.c_fc`, "linear", 128, 32, true, "conv1d"],
      [`${p}.mlp.c_proj`, "linear", 32, 128, true, "conv1d"],
    ];
  };
  const modules = expand([
    ["transformer", "container"],
    ["transformer.wte", "embedding", 32, 64],
    ["transformer.wpe", "embedding", 32, 32],
    ["transformer.h", "container"],
    ...block(0),
    ...block(1),
    ["transformer.ln_f", "norm", 32, undefined, true],
    ["lm_head", "linear", 64, 32],
  ]);
  return modules.map((m) => (m.path === "lm_head" ? { ...m, weight: "transformer.wte.weight" } : m));
}

/** The golden bert with a classifier of three labels. */
export function bert(): ModuleInfo[] {
  const block = (i: number): Row[] => {
    const p = `bert.encoder.layer.${i}`;
    return [
      [p, "container"],
      [`${p}.attention`, "container"],
      [`${p}.attention.self`, "attention"],
      [`${p}.attention.self.query`, "linear", 32, 32, true],
      [`${p}.attention.self.key`, "linear", 32, 32, true],
      [`${p}.attention.self.value`, "linear", 32, 32, true],
      [`${p}.attention.output`, "container"],
      [`${p}.attention.output.dense`, "linear", 32, 32, true],
      [`${p}.attention.output.LayerNorm`, "norm", 32, undefined, true],
      [`${p}.intermediate`, "container"],
      [`${p}.intermediate.dense`, "linear", 64, 32, true],
      [`${p}.output`, "container"],
      [`${p}.output.dense`, "linear", 32, 64, true],
      [`${p}.output.LayerNorm`, "norm", 32, undefined, true],
    ];
  };
  return expand([
    ["bert", "container"],
    ["bert.embeddings", "container"],
    ["bert.embeddings.word_embeddings", "embedding", 32, 64],
    ["bert.embeddings.position_embeddings", "embedding", 32, 32],
    ["bert.embeddings.token_type_embeddings", "embedding", 32, 2],
    ["bert.embeddings.LayerNorm", "norm", 32, undefined, true],
    ["bert.encoder", "container"],
    ["bert.encoder.layer", "container"],
    ...block(0),
    ...block(1),
    ["bert.pooler", "container"],
    ["bert.pooler.dense", "linear", 32, 32, true],
    ["classifier", "linear", 3, 32, true],
  ]);
}

/** Linear layers under the given paths. */
export const net = (...paths: string[]): ModuleInfo[] => expand(paths.map((path): Row => [path, "linear", 8, 8, true]));
