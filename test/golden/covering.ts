/** Cases that together have every schedule of every op, for what takes too long on all of them. */
import type { Target } from "../../src/codegen/index.ts";
import { compile } from "../../src/compile/index.ts";
import { loadCase } from "./helpers.ts";

/** Each has a pair of a schedule and an op that those before it lack, on software drivers. `npm run test:all` says when a pair is missing. */
export const coveringCases: readonly string[] = [
  "mixtral-lora-all-linear",
  "bert-multi-label-boft",
  "gpt2-vera",
  "modernbert-oft",
  "falcon-alibi-lora",
  "gemma3-hra",
  "llama-poly",
  "llama-cpt",
  "t5-tokens-lora-tokens",
  "deberta-apart-oft",
  "gemma2-lora",
  "gpt-neox-lora",
  "llama-delora",
  "llama-p-tuning-lstm",
  "llama-xlora-depth2",
];

/** What the kernels of a training program are and compute: `contraction einsum`. */
export async function scheduledOps(name: string, target: Target): Promise<string[]> {
  const { model, adapter } = await loadCase(name);
  const { generated } = await compile(model, adapter, { batch: 2, length: 12, target });
  return generated.tensors.flatMap(({ stage, graph }) => {
    const { dispatches } = generated.plan.stages.find((planned) => planned.name === stage)!;
    return dispatches.flatMap((dispatch) =>
      dispatch.nodes.map((node) => `${generated.sourceOf(dispatch).kind} ${graph.nodes[node]?.op ?? "copy"}`),
    );
  });
}
