/** The benchmarks' llama of four layers with drawn weights, and the adapters whose cost is bounded. */
import { type CompileOptions, compile } from "../../src/compile/index.ts";
import type { Program } from "../../src/compile/program.ts";
import { stepStages } from "../../src/inspect/views.ts";
import { loadModel, type Model } from "../../src/runtime/files/model.ts";
import { generator } from "../runtime/executor-samples.ts";
import programs from "./programs.json" with { type: "json" };

export const { sizes } = programs;

export const adapters: Readonly<Record<string, Readonly<Record<string, unknown>>>> = programs.adapters;

/** What a config that mixes adapters finds. */
export const experts: Readonly<Record<string, Readonly<Record<string, unknown>>>> = Object.fromEntries(
  ["0", "1"].map((name) => [name, adapters.lora!]),
);

export async function llama(): Promise<Model> {
  const random = generator(7);
  const { width, hidden, vocabulary } = sizes;
  const weights: Record<string, { shape: number[]; data: Float32Array }> = {};
  const draw = (key: string, ...shape: number[]): void => {
    const scale = 1 / Math.sqrt(shape.at(-1)!);
    const value = (): number => (shape.length === 1 ? 1 : (2 * random() - 1) * scale);
    weights[key] = { shape, data: Float32Array.from({ length: shape.reduce((a, b) => a * b) }, value) };
  };
  draw("model.embed_tokens.weight", vocabulary, width);
  for (let layer = 0; layer < sizes.layers; layer++) {
    const at = `model.layers.${layer}`;
    for (const name of ["q", "k", "v", "o"]) draw(`${at}.self_attn.${name}_proj.weight`, width, width);
    for (const name of ["gate", "up"]) draw(`${at}.mlp.${name}_proj.weight`, hidden, width);
    draw(`${at}.mlp.down_proj.weight`, width, hidden);
    for (const name of ["input", "post_attention"]) draw(`${at}.${name}_layernorm.weight`, width);
  }
  draw("model.norm.weight", width);
  draw("lm_head.weight", vocabulary, width);
  const config = {
    model_type: "llama",
    hidden_size: width,
    num_hidden_layers: sizes.layers,
    num_attention_heads: sizes.heads,
    num_key_value_heads: sizes.heads,
    intermediate_size: hidden,
    vocab_size: vocabulary,
    max_position_embeddings: sizes.length,
    rms_norm_eps: 1e-5,
    hidden_act: "silu",
    tie_word_embeddings: false,
  };
  return loadModel({ config, weights });
}

export const compileAdapter = (model: Model, name: string, options: CompileOptions): Promise<Program> =>
  compile(model, adapters[name], { batch: sizes.batch, length: sizes.length, experts, ...options });

export interface Cost {
  readonly dispatches: number;
  readonly kernels: number;
  readonly peakBytes: number;
  readonly flops: number;
}

/** At how many layers a training step works on the activations, and at how many it folds the weight. */
export interface Association {
  readonly activation: number;
  readonly weight: number;
}

export function association({ timeline }: Program): Association {
  const notes = timeline.find(({ pass, stage }) => pass === "associate" && stage === "micro")?.notes ?? [];
  const count = (decision: string): number => notes.filter((note) => note.decision === decision).length;
  return { activation: count("activation"), weight: count("weight") };
}

/** What one training step costs by the plan: all that is not done once at start. */
export function stepCost({ plan }: Program): Cost {
  const dispatches = plan.stages.filter(({ name }) => stepStages.includes(name)).flatMap((stage) => stage.dispatches);
  return {
    dispatches: dispatches.length,
    kernels: new Set(dispatches.map(({ kernel }) => kernel)).size,
    peakBytes: plan.peakBytes,
    flops: dispatches.reduce((sum, dispatch) => sum + dispatch.flops, 0),
  };
}
