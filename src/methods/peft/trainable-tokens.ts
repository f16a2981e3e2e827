/** Trainable tokens: chosen rows of an embedding, or of an output layer, are replaced by trained ones. */
import type { MethodRecord } from "../record.ts";

export const trainableTokens = {
  text: `method trainable_tokens {
  on embedding, linear tied {   // of an output layer the rows of W are replaced
    W' = head ? changed.T : changed;
    let E = head ? W.T : W, E0 = head ? W0.T : W0, changed = E @ without(tokens, known) + rows.T @ select(tokens, known);
    param rows[k, head ? in : out] = init_weights ? columns(E0, tokens) : normal(0, 1) at "trainable_tokens_delta" tied replaces tokens;
  }
  let tokens = token_indices, k = count(tokens), head = site.kind == "linear", known = head ? out : in;
  config token_indices: int_list = [] (minimum: 0) "tokens whose rows train",
         init_weights: bool = true "false: normal instead of the rows of the base";
  require k > 0 else "token_indices is empty: there is nothing to train.";
  require distinct(tokens) else "token_indices = {tokens} names a token twice.";
  require all_below(tokens, known) else "token_indices = {tokens} names tokens that the layer does not have: it has {known}.";
}`,
  profile: { className: "TrainableTokensConfig", shared: ["target_modules", "init_weights"], trainsTokens: true },
  targets: (modules) => modules.find(({ kind }) => kind === "embedding")?.path ?? "embed_tokens",
} satisfies MethodRecord;
