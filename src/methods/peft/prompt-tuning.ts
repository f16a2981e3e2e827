/** Prompt tuning: trained embeddings in front of those of the text. arXiv 2104.08691. */
import type { Builder } from "../../ir/builder.ts";
import { makesTensor } from "../lib/builtin.ts";
import { uniformNode } from "../lib/draws.ts";
import type { MethodRecord } from "../record.ts";

export const promptTuning = {
  line: 9,
  text: `method prompt_tuning on prompt {
  rows' = P[0 : num_virtual_tokens, :];
  param P[all, out] = loaded or begins == "RANDOM" ? normal
    : text ? embeddings_of(W0, initial_tokens, all) : drawn_embeddings(W0, all) at "prompt_embeddings";
  let begins = prompt_tuning_init, text = begins == "TEXT";
  let all = num_virtual_tokens * num_transformer_submodules;   // PEFT's decoders have rows too, which it does not read
  config num_virtual_tokens: int? = null (minimum: 1) "virtual tokens in front of the text",
         prompt_tuning_init: any = "RANDOM" "RANDOM: normal; SAMPLE_VOCAB: embeddings of random tokens; TEXT: those of a text",
         prompt_tuning_init_text: string? = null "with TEXT: what the virtual tokens begin as", tokenizer_name_or_path: string? = null "with TEXT: its tokenizer",
         tokenizer_kwargs: any? = null "options of that tokenizer", token_dim: int? = null "hidden width of the model",
         num_transformer_submodules: int? = null "1; 2 for models with encoder and decoder", num_layers: int? = null "layers of the model",
         num_attention_heads: int? = null "heads of the model";
  require num_virtual_tokens != null else "num_virtual_tokens must be given.";
  require token_dim == out else "token_dim = {token_dim} is not the hidden width of the model, {out}.";
  require num_transformer_submodules == 1 or (encoder_decoder and num_transformer_submodules == 2)
    else "num_transformer_submodules = {num_transformer_submodules} is not supported: the model has not so many.";
  require (task_type == "SEQ_2_SEQ_LM") == encoder_decoder else "task_type = {task_type} is not what the base model is for.";
  require prompt_tuning_init != "TEXT" or prompt_tuning_init_text != null
    else "When prompt_tuning_init='TEXT', prompt_tuning_init_text can't be None";
  require prompt_tuning_init != "TEXT" or tokenizer_name_or_path != null
    else "When prompt_tuning_init='TEXT', tokenizer_name_or_path can't be None";
  require text or begins == "RANDOM" or begins == "SAMPLE_VOCAB"
    else "prompt_tuning_init = {prompt_tuning_init} is none of RANDOM, SAMPLE_VOCAB and TEXT.";
  require text or tokenizer_kwargs == null else "tokenizer_kwargs only valid when using prompt_tuning_init='TEXT'.";
  require text or prompt_tuning_init_text == null warn "prompt_tuning_init_text has no effect unless prompt_tuning_init is TEXT.";
  require text or tokenizer_name_or_path == null warn "tokenizer_name_or_path has no effect unless prompt_tuning_init is TEXT.";
  require loaded or tokenizer_kwargs == null else "tokenizer_kwargs are not supported for a fresh prompt.";
  require loaded or not text or initial_tokens != null else "prompt_tuning_init = TEXT needs the tokens of the text."
    help "Give their ids as initialTokens; the commands find them with the tokenizer.";
}`,
  profile: { className: "PromptTuningConfig", shared: ["modules_to_save"], modelFacts: "embeddings" },
  builtins: [
    makesTensor(
      "embeddings_of",
      { table: "operator", tokens: "known", count: "count" },
      "Embeddings [count, out] of known tokens, which are repeated or cut to count. table is W0 of a prompt.",
      ({ table, tokens: given, count }, b, context) => {
        const tokens = Array.isArray(given) ? (given as readonly unknown[]) : [];
        const fits = (token: unknown): boolean =>
          Number.isSafeInteger(token) && (token as number) >= 0 && (token as number) < context.in;
        if (tokens.length === 0 || !tokens.every(fits))
          throw context.fail(
            "These are no tokens of the model.",
            `ids from 0 to ${context.in - 1}`,
            JSON.stringify(given),
          );
        const ids = Int32Array.from({ length: count }, (_unused, i) => tokens[i % tokens.length] as number);
        return columns(b, table, context.table("initial_tokens", ids, [count]));
      },
    ),
    makesTensor(
      "drawn_embeddings",
      { table: "operator", count: "count" },
      "Embeddings [count, out] of tokens that are drawn by the seed, each as likely as any other, with repetition.",
      ({ table, count }, b, context) => {
        const scalars = { ...context.scalars(), sampleOffset: b.constant(0, [], "u32") };
        const u = uniformNode(b, scalars, [count], context.site, rowStreams + context.ordinal);
        return columns(b, table, b.cast(b.scale(u, context.in), "i32"));
      },
    ),
  ],
} satisfies MethodRecord;

/** Random streams of these builtins begin here; those of tensors, dropout and gates lie below. */
const rowStreams = 0x5000;

/** Columns of an operator [out, tokens] by whole numbers [count]: [count, out]. */
function columns(b: Builder, operator: number, indices: number): number {
  const table = b.transpose(b.add("op.to_dense", [operator]), [1, 0]);
  return b.add("gather", [table, indices]);
}
