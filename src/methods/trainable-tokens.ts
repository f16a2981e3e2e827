/** Trainable tokens: chosen rows of an embedding are replaced by trained ones. */
import { lazyMethod } from "./dsl/method.ts";

export const trainableTokens = lazyMethod(
  "trainable_tokens",
  `method trainable_tokens {
  config token_indices: int_list = [] (minimum: 0) "tokens whose rows train",
         init_weights: bool = true "false: normal instead of the rows of the base";
  on embedding tied {
    require count(token_indices) > 0 else "token_indices is empty: there is nothing to train.";
    require distinct(token_indices) else "token_indices = {token_indices} names a token twice.";
    require all_below(token_indices, in) else "token_indices = {token_indices} names tokens that the embedding does not have: it has {in}.";
    param rows[count(token_indices), out] = init_weights ? columns(W0, token_indices) : normal(0, 1) at "trainable_tokens_delta" tied;
    W' = W @ without(token_indices, in) + rows.T @ select(token_indices, in);
  }
}`,
  "trainable-tokens.ts",
);
