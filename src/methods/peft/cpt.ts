/** Context-aware prompt tuning: the prompt is a context of examples, and what trains is a bounded offset to its embeddings. arXiv 2410.17222. */
import type { Builder } from "../../ir/builder.ts";
import { makesTensor } from "../lib/builtin.ts";
import type { MethodRecord } from "../record.ts";

export const cpt = {
  line: 8,
  text: `method cpt on prompt {
  rows' = columns(W0, cpt_token_ids) + where(stays, stop_gradient(offset), offset);
  labels' = where(less(0, label_codes), concat(1, each_sample(integers(cpt_token_ids)), labels), -100);
  weights' = powers(factor, concat(1, 0 * real(label_codes[:, 0 : 1]), rank));
  // The first place predicts nothing before it, so its code is no example of the loss.
  let rank = distinct_larger(label_codes[:, 1 : p + length]);
  let label_codes = where(equal(mod(codes, 4), 0), codes, 0);
  // Roles of the text go on where those of the context end. The context of a row that is padding (-1) alone has none.
  let codes = concat(1, in_context, where(less(0, input_type_mask), input_type_mask + shift, 0));
  let in_context = where(has_text, each_sample(roles), 0);
  let has_text = reshape(less(0, sum(real(less(-1, input_type_mask)), [1])), [samples, 1]);
  let stays = reshape(equal(mod(roles, 4), 0), [p, 1]);
  param offset[p, out] = zeros at "prompt_embeddings" coded on_rows(cpt_token_ids) project rows_ball(where(equal(mod(roles, 4), 0), 1e-10, moves));
  input input_type_mask[length] below 1048576 else 4;
  let p = count(cpt_token_ids);
  let moves = where(equal(mod(roles, 4), 2), opt_projection_epsilon * reach, opt_projection_format_epsilon * reach);
  let roles = integers(cpt_tokens_type_mask), reach = sqrt(out / 2048);
  let shift = 4 * ceil(largest(cpt_tokens_type_mask) / 4), factor = opt_weighted_loss_type == "decay" ? opt_loss_decay_factor : 1;
  config cpt_token_ids: int_list? = null (minimum: 0, filled: [0]) "tokens of the context",
         cpt_mask: int_list? = null (filled: repeated(1, count(cpt_token_ids))) "kept, and read by nothing, as in PEFT",
         cpt_tokens_type_mask: int_list? = null (minimum: 0, maximum: 1048575, filled: repeated(1, count(cpt_token_ids)))
           "roles: 1 template of the input, 2 input, 3 template of the output, 4 label; 5 to 8 in the next example ...; 0 nothing",
         opt_weighted_loss_type: string? = "none" (one_of: ["none", "decay"]) "decay: earlier examples count less",
         opt_loss_decay_factor: float = 1 (minimum: 0) "how much less, example by example from the last",
         opt_projection_epsilon: float = 0.1 (minimum: 0) "how far tokens of the input may move, at a width of 2048",
         opt_projection_format_epsilon: float = 0.1 (minimum: 0) "how far tokens of templates may",
         tokenizer_name_or_path: string? = null "stored only",
         num_virtual_tokens: int? = null (minimum: 1, filled: count(cpt_token_ids)) "tokens of the context",
         token_dim: int? = null "hidden width of the model", num_transformer_submodules: int? = null "1, the number of models that take the prompt",
         num_layers: int? = null "layers of the model", num_attention_heads: int? = null "heads of the model";
  require p > 0 else "cpt_token_ids holds no token.";
  require not encoder_decoder else "CPT is of models that write the text on, and the base model has an encoder.";
  require task_type == "CAUSAL_LM" else "CPTConfig only supports task_type = CAUSAL_LM.";
  require count(cpt_mask) == p and count(cpt_tokens_type_mask) == p
    else "cpt_token_ids, cpt_mask and cpt_tokens_type_mask must have the same length.";
  require num_virtual_tokens == p else "num_virtual_tokens = {num_virtual_tokens} is not the number of cpt_token_ids, {p}.";
  require token_dim == out else "token_dim = {token_dim} is not the hidden width of the model, {out}.";
  require num_transformer_submodules == 1 else "num_transformer_submodules = {num_transformer_submodules} is not supported: virtual tokens go to one model.";
  require all_below(cpt_token_ids, in) else "cpt_token_ids names a token that the model does not have: it has {in}.";
}`,
  profile: { className: "CPTConfig", shared: ["modules_to_save"], modelFacts: "embeddings" },
  builtins: [
    makesTensor(
      "rows_ball",
      { x: "tensor", radii: "tensor" },
      "A projection: every row of a matrix scaled so that its norm is at most its radius.",
      ({ x, radii }, b, context) => {
        const [rows, ...more] = b.shape(x);
        if (more.length !== 1 || b.shape(radii).join() !== String(rows))
          throw context.fail("rows_ball wants a radius for every row of a matrix.", `[${rows}]`, `[${b.shape(radii)}]`);
        return rowsBall(b, x, radii);
      },
    ),
    makesTensor(
      "distinct_larger",
      { x: "tensor" },
      "For every whole number of a row, how many different larger ones the row has: [rows, width].",
      ({ x }, b, context) => {
        const { dtype, shape } = b.tensorType(x);
        if (dtype !== "i32" || shape.length !== 2)
          throw context.fail("distinct_larger wants rows of whole numbers.", "i32[rows, width]", `${dtype}[${shape}]`);
        return distinctLarger(b, x);
      },
    ),
  ],
} satisfies MethodRecord;

/** Rows of a matrix scaled so that none is longer than its radius. */
function rowsBall(b: Builder, x: number, radii: number): number {
  const norms = b.add("sqrt", [b.sum(b.mul(x, x), [1])]);
  // A radius of 0 leaves zeros of a row of zeros too.
  const most = b.add("maximum", [b.add("maximum", [norms, radii]), b.constantLike(norms, 1e-30)]);
  return b.mul(x, b.broadcast(b.div(radii, most), b.shape(x), [0]));
}

/** For every entry of a row, how many different larger numbers the row has: [b, t] of i32 [b, t]. Compares all pairs of a row. */
function distinctLarger(b: Builder, x: number): number {
  const [rows, width] = b.shape(x) as [number, number];
  const pairs = [rows, width, width];
  const [own, other] = [b.broadcast(x, pairs, [0, 1]), b.broadcast(x, pairs, [0, 2])];
  const isEarlier = b.add("lt", [b.iota(pairs, 2), b.iota(pairs, 1)]);
  const repeats = b.add("and", [isEarlier, b.add("eq", [own, other])]);
  const isFirst = b.compare("eq", b.sum(b.cast(repeats, "f32"), [2]), b.constant(0));
  const counts = b.add("and", [b.add("lt", [own, other]), b.broadcast(isFirst, pairs, [0, 2])]);
  return b.sum(b.cast(counts, "f32"), [2]);
}
