/** AdaLoRA: an update in the form of a singular value decomposition, kept near orthogonal by a term of the loss. arXiv 2303.10512. */
import { makesKnown } from "../lib/builtin.ts";
import type { MethodRecord } from "../record.ts";
import { lora } from "./lora.ts";
import { vblora } from "./vblora.ts";

export const adalora = {
  line: 10,
  calls: 10,
  text: `method adalora on linear {
  // Of a module that kept no component the file has tensors of no numbers, and nothing is added.
  W' = k > 0 ? W + scale / (init_r + 1e-5) * B @ diag(E) @ A @ dropout(lora_dropout) : W;
  loss' = k > 0 ? loss + orth_reg_weight / (2 * sites.count) * (root(sum(P .* P, [0, 1])) + root(sum(Q .* Q, [0, 1]))) : loss;
  let P = einsum("in,jn->ij", A, A) - dense(identity(k)), Q = einsum("oi,oj->ij", B, B) - dense(identity(k));
  param A[k, in] = normal(0, fresh ? 0.02 : 1) at "lora_A";
  param B[out, k] = normal(0, fresh ? 0.02 : 1) at "lora_B";
  param E[k, 1] = fresh ? zeros : normal(0, 1) at "lora_E";
  let k = kept_rank(rank_pattern, site.path, init_r), scale = lora_alpha > 0 ? lora_alpha : init_r, fresh = init_lora_weights != false;
  config init_r: int = 12 (minimum: 1) "rank of the update", target_r: int = 8 (minimum: 1) "mean rank in the end; ranks are not reduced here",
         total_step: int? = null "steps of the whole training", tinit: int = 0 (minimum: 0) "steps before ranks are reduced",
         tfinal: int = 0 (minimum: 0) "steps after that", deltaT: int = 1 (minimum: 1) "steps between two reductions",
         beta1: float = 0.85 (minimum: 0, maximum: 1) "smoothing of sensitivities", beta2: float = 0.85 (minimum: 0, maximum: 1) "smoothing of their spread",
         orth_reg_weight: float = 0.5 (minimum: 0) "weight of the term that keeps A and B orthogonal",
         r: int = 8 "not used: init_r is the rank", lora_alpha: float = 8 "scale of the update; init_r when it is not above 0",
         lora_dropout: float = 0 (minimum: 0, maximum: 1) "dropout on the input of the update",
         init_lora_weights: any = true "false: everything normal", use_dora: bool = false "not with AdaLoRA",
         rank_pattern: bool_list_map? = null "components that were kept, per module";
  require not use_dora else "ADALORA does not support DoRA.";
  require r == 8 warn "Note that \`r\` is not used in AdaLora and will be ignored. If you intended to set the initial rank, use \`init_r\` instead.";
  require total_step != null else "AdaLoRA does not work when \`total_step\` is None, supply a value > 0.";
  require total_step > 0 else "AdaLoRA does not work when \`total_step\` is None, supply a value > 0.";
  require tinit < total_step - tfinal
    else "The supplied schedule values don't allow for a budgeting phase. Decrease \`tfinal\`/\`tinit\` or increase \`total_step\`.";
  require not training or rank_pattern != null
    warn "Ranks are not reduced while training: every module keeps init_r = {init_r}; target_r, total_step, tinit, tfinal, deltaT, beta1 and beta2 have no effect."
    help "Reduce ranks with PEFT's update_and_allocate; a file with a rank_pattern loads, trains and saves here.";
  require lora_dropout < 1 else "lora_dropout must be below 1.";
}`,
  profile: {
    className: "AdaLoraConfig",
    shared: lora.profile.shared,
    checks: "ab",
    passive: lora.profile.passive,
    inert: { ...lora.profile.inert, use_rslora: false, alpha_pattern: {} },
  },
  targets: { ...vblora.targets, roberta: ["query", "key", "value", "dense"] },
  builtins: [
    makesKnown(
      "kept_rank",
      { pattern: "known", path: "text", rank: "count" },
      "How many components of a module AdaLoRA has kept, by the truth values that rank_pattern has for it; rank where it has none.",
      ({ pattern, path, rank }, context) => {
        const kept = typeof pattern === "object" && pattern !== null ? Object.entries(pattern) : [];
        const found = kept.find(([name]) => name === `${path}.lora_E`)?.[1] as unknown;
        if (found === undefined) return rank;
        if (Array.isArray(found)) return found.filter((value) => value === true).length;
        throw context.fail("The pattern holds no list.", "true or false for every component", JSON.stringify(found));
      },
    ),
  ],
} satisfies MethodRecord;
