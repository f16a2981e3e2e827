/** Targets by model type for configs that name none. Source: `peft/utils/constants.py` of 0.21.2. */
import type { ModuleInfo } from "../../models/model.ts";

/** Which table a method uses; `none`: the method has no targets. */
export type TargetTable =
  | "base"
  | "vera"
  | "fourier"
  | "vblora"
  | "adalora"
  | "ia3"
  | "norms"
  | "attention"
  | "embedding"
  | "none";

type Table = Readonly<Record<string, readonly string[]>>;

const qv = ["q_proj", "v_proj"];
const blockNorms = ["input_layernorm", "post_attention_layernorm", "norm"];

const base: Table = {
  llama: qv,
  mistral: qv,
  qwen2: qv,
  gpt2: ["c_attn"],
  bert: ["query", "value"],
  roberta: ["query", "value"],
  t5: ["q", "v"],
  phi: ["q_proj", "v_proj", "fc1", "fc2"],
};

const withoutMistral: Table = {
  llama: qv,
  qwen2: qv,
  gpt2: ["c_attn"],
  bert: ["query", "value"],
  roberta: ["query", "value"],
  t5: ["q", "k", "v", "o", "wi", "wo"],
};

const tables: Readonly<Record<Exclude<TargetTable, "embedding" | "none">, Table>> = {
  base,
  vera: { ...base, phi: qv },
  fourier: { ...base, gpt2: ["mlp.c_proj"] },
  vblora: withoutMistral,
  adalora: { ...withoutMistral, roberta: ["query", "key", "value", "dense"] },
  ia3: {
    llama: ["k_proj", "v_proj", "down_proj"],
    mistral: ["k_proj", "v_proj", "down_proj"],
    qwen2: ["q_proj", "v_proj", "down_proj"],
    gpt2: ["c_attn", "mlp.c_proj"],
    bert: ["key", "value", "output.dense"],
    roberta: ["key", "value", "output.dense"],
    t5: ["k", "v", "wo"],
    phi: ["q_proj", "v_proj", "fc2"],
  },
  norms: {
    llama: blockNorms,
    mistral: blockNorms,
    qwen2: ["post_attention_layernorm"],
    gpt2: ["ln_1", "ln_2", "ln_f"],
    t5: ["layer_norm", "final_layer_norm"],
    phi: ["input_layernorm", "final_layernorm"],
  },
  attention: { llama: ["self_attn"], mistral: ["self_attn"], gpt2: ["attn"] },
};

const feedforward: Table = {
  llama: ["down_proj"],
  mistral: ["down_proj"],
  qwen2: ["down_proj"],
  gpt2: ["mlp.c_proj"],
  bert: ["output.dense"],
  roberta: ["output.dense"],
  t5: ["wo"],
  phi: ["fc2"],
};

const entry = (table: Table, modelType: string): readonly string[] | undefined =>
  Object.hasOwn(table, modelType) ? table[modelType] : undefined;

/** The default of `target_modules`, or undefined when the user must name targets. */
export function defaultTargets(
  table: TargetTable,
  modelType: string,
  modules: readonly ModuleInfo[],
): string | readonly string[] | undefined {
  if (table === "none") return undefined;
  if (table === "embedding") return modules.find((module) => module.kind === "embedding")?.path ?? "embed_tokens";
  const names = entry(tables[table], modelType);
  return table === "attention" ? names?.[0] : names;
}

/** The default of IA3's `feedforward_modules`. */
export const defaultFeedforward = (modelType: string): readonly string[] | undefined => entry(feedforward, modelType);

/** Modules that classify on top of a base model, by task type; they are trained and saved in full. */
export const taskHeads: Readonly<Record<string, readonly string[]>> = {
  SEQ_CLS: ["classifier", "score"],
  TOKEN_CLS: ["classifier", "score"],
  QUESTION_ANS: ["qa_outputs"],
};

/** Names that PEFT takes for embeddings. */
export const embeddingNames = ["embed_tokens", "lm_head"];

/** Paths that an output embedding has in the models of transformers. */
const outputEmbeddings = ["lm_head", "embed_out", "cls.predictions.decoder", "lm_head.decoder"];

/** The module that "all-linear" leaves out: the output embedding, else the head of a sequence classifier. */
export function untargetedHead(modules: readonly ModuleInfo[], taskType: string | null): string | undefined {
  const paths = new Set(modules.map((module) => module.path));
  const found = outputEmbeddings.filter((path) => paths.has(path)).at(-1);
  if (found !== undefined || taskType !== "SEQ_CLS") return found;
  return ["score", "classifier"].find((path) => paths.has(path));
}
