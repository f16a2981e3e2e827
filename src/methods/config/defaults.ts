/** Targets by model type for configs that name none. Source: `peft/utils/constants.py` of 0.21.2. */
import type { ModuleInfo } from "../../models/model.ts";

/** Names of targets by model type: a list of names, or one name. */
export type TargetTable = Readonly<Record<string, string | readonly string[]>>;

/** The default of `target_modules`: by model type, or what finds it among a model's modules. */
export type DefaultTargets = TargetTable | ((modules: readonly ModuleInfo[]) => string);

const qv = ["q_proj", "v_proj"];
const queryKeyValue = ["query_key_value"];

/** What most methods adapt. */
export const usualTargets: TargetTable = {
  llama: qv,
  mistral: qv,
  mixtral: qv,
  qwen2: qv,
  qwen3: qv,
  gemma: qv,
  gemma2: qv,
  gemma3_text: qv,
  stablelm: qv,
  opt: qv,
  gpt_neox: queryKeyValue,
  falcon: queryKeyValue,
  bloom: queryKeyValue,
  gpt2: ["c_attn"],
  gpt_bigcode: ["c_attn"],
  "deberta-v2": ["query_proj", "value_proj"],
  bert: ["query", "value"],
  roberta: ["query", "value"],
  "xlm-roberta": ["query", "value"],
  electra: ["query", "value"],
  t5: ["q", "v"],
  mt5: ["q", "v"],
  phi: ["q_proj", "v_proj", "fc1", "fc2"],
};

/** The entry of a model type, or undefined when the user must name targets. */
export const targetsIn = (table: TargetTable, modelType: string): string | readonly string[] | undefined =>
  Object.hasOwn(table, modelType) ? table[modelType] : undefined;

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
