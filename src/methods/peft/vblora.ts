/** VB-LoRA: low-rank factors put together from a bank of vectors that all layers share. arXiv 2405.15179. */
import { everything, without } from "../config/profiles.ts";
import type { MethodRecord } from "../record.ts";
import { vbloraVariational } from "./vblora-variational.ts";

export const vblora = {
  line: 9,
  calls: 17,
  text: `method vblora on linear {
  W' = W + B @ A @ dropout(vblora_dropout);
  let B = reshape(einsum("mrv,vl->mlr", top_k_softmax(stored ? b0 : b_, topk), bank), [out, r]);
  let A = reshape(einsum("rnv,vl->rnl", top_k_softmax(stored ? a0 : a, topk), bank), [r, in]);
  shared param bank[V, L] = uniform(-init_vector_bank_bound, init_vector_bank_bound) at "base_model.vblora_vector_bank";
  param a[r, in / L, V] = normal(0, init_logits_std) at "vblora_logits_A" coded top_k(topk) if save_only_topk_weights when not stored;
  param b_[out / L, r, V] = normal(0, init_logits_std) at "vblora_logits_B" coded top_k(topk) if save_only_topk_weights when not stored;
  buffer a0[r, in / L, V] = zeros at "vblora_logits_A" coded top_k(topk) when stored;
  buffer b0[out / L, r, V] = zeros at "vblora_logits_B" coded top_k(topk) when stored;
  let V = num_vectors, L = vector_length, stored = loaded and save_only_topk_weights;
  config r: int = 4 (above: 0) "rank of the update",
         num_vectors: int = 256 (above: 0) "vectors in the bank",
         vector_length: int = 256 (above: 0) "their length; divides the widths of every layer",
         topk: int = 2 (above: 0) "vectors that are mixed at a place",
         save_only_topk_weights: bool = false "small files that can be used but not trained",
         vblora_dropout: float = 0 (minimum: 0, maximum: 1) "dropout on the input of the update",
         init_vector_bank_bound: float = 0.02 "the bank begins uniform within it", init_logits_std: float = 0.1 (minimum: 0) "deviation of the first logits";
  require divides(L, in) else "\`in_features\` {in} must be divisible by \`vector_length\` {L}" help "Nearest divisors: {near_in}.";
  require divides(L, out) else "\`out_features\` {out} must be divisible by \`vector_length\` {L}" help "Nearest divisors: {near_out}.";
  require topk <= V else "topk ({topk}) must be at most num_vectors ({V}).";
  require vblora_dropout < 1 else "vblora_dropout must be below 1.";
  let near_in = divisors_around(in, L), near_out = divisors_around(out, L);
}`,
  profile: { className: "VBLoRAConfig", shared: without(everything, "init_weights"), checks: "a" },
  targets: vbloraVariational.targets,
  variant: { prefix: "vb_", record: vbloraVariational },
} satisfies MethodRecord;
