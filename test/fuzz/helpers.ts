/** What the fuzzes share: how many runs, a model that is small, and the reproduction of a run that fails. */
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import { loadModel, type Model } from "../../src/runtime/files/model.ts";
import { generator } from "../runtime/executor-samples.ts";

/** `WEBPEFT_FUZZ` runs, or a few. */
export const runsOr = (few: number): number => Number(process.env.WEBPEFT_FUZZ ?? few);

/** Every fuzz draws from this; fast-check tells a path to the run that failed, and `pasteable` shows it as code. */
export const seed = 20261128;

interface Sizes {
  readonly width: number;
  readonly heads: number;
  readonly hidden: number;
  readonly vocabulary: number;
}

export const tinyLlama = (): Promise<Model> => llamaOf({ width: 16, heads: 2, hidden: 24, vocabulary: 20 });

/** A llama of one layer. */
export function llamaOf({ width, heads, hidden, vocabulary }: Sizes): Promise<Model> {
  const random = generator(11);
  const drawn = (...shape: number[]) => {
    const value = (): number => (shape.length === 1 ? 1 : random() - 0.5);
    return { shape, data: Float32Array.from({ length: shape.reduce((a, b) => a * b) }, value) };
  };
  const square = ["q", "k", "v", "o"].map((name) => [`self_attn.${name}_proj`, drawn(width, width)] as const);
  const wide = ["gate", "up"].map((name) => [`mlp.${name}_proj`, drawn(hidden, width)] as const);
  const norms = ["input_layernorm", "post_attention_layernorm"].map((name) => [name, drawn(width)] as const);
  const layer = [...square, ...wide, ["mlp.down_proj", drawn(width, hidden)] as const, ...norms];
  const weights = {
    "model.embed_tokens.weight": drawn(vocabulary, width),
    ...Object.fromEntries(layer.map(([name, tensor]) => [`model.layers.0.${name}.weight`, tensor])),
    "model.norm.weight": drawn(width),
    "lm_head.weight": drawn(vocabulary, width),
  };
  const config = {
    ...{ model_type: "llama", hidden_size: width, num_hidden_layers: 1, intermediate_size: hidden },
    ...{ num_attention_heads: heads, num_key_value_heads: heads, vocab_size: vocabulary },
    ...{ max_position_embeddings: 32, rms_norm_eps: 1e-5, hidden_act: "silu", tie_word_embeddings: false },
  };
  return loadModel({ config, weights });
}

export const batch = { input_ids: [3, 5, 7, 11], labels: [3, 5, 7, 11] };

/** Most processor time and memory that one run may take: it is small, so more is what a file claimed. */
const [mostSeconds, mostKilobytes] = [10, 1e6];

/**
 * Runs one case. `work` gives nothing, or throws an error with a code; anything else that is thrown, and what takes too long or too much
 * memory, fails with the case as code. The case that runs is in a file too, for one that never ends.
 */
export async function refusedOrRight(pasteable: string, work: () => Promise<void>): Promise<string | undefined> {
  if (process.env.WEBPEFT_FUZZ !== undefined) writeFileSync(join(tmpdir(), `webpeft-fuzz-${process.pid}`), pasteable);
  const [cpu, memory] = [process.cpuUsage(), process.resourceUsage().maxRSS];
  let code: string | undefined;
  try {
    await work();
  } catch (error) {
    if (!(error instanceof WebpeftError))
      throw new Error(`${pasteable}\nis neither right nor refused`, { cause: error });
    code = error.code;
  }
  const { user, system } = process.cpuUsage(cpu);
  if ((user + system) / 1e6 > mostSeconds) throw new Error(`${pasteable}\ntook ${(user + system) / 1e6} s`);
  const grown = process.resourceUsage().maxRSS - memory;
  if (grown > mostKilobytes) throw new Error(`${pasteable}\ntook ${grown} KB`);
  return code;
}
