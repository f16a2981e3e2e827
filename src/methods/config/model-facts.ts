/** Fields of prompt methods that describe the base model: inferred as PEFT does, and written into the config. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { ModuleInfo } from "../../models/model.ts";
import type { FieldValue } from "../fields.ts";

type Fields = Readonly<Record<string, FieldValue>>;

/** Names in the base's config, the first that is there counts. Source: `_prepare_prompt_learning_config` in `peft_model.py`. */
const sources: Readonly<Record<string, readonly string[]>> = {
  num_layers: ["num_hidden_layers", "num_layers", "n_layer"],
  token_dim: ["hidden_size", "n_embd", "d_model"],
  num_attention_heads: ["num_attention_heads", "n_head", "num_heads", "encoder_attention_heads"],
};

function inferred(field: string, modelConfig: Readonly<Record<string, unknown>>): number {
  const value = sources[field]!.map((name) => modelConfig[name]).find((found) => typeof found === "number");
  if (typeof value === "number") return value;
  throw new WebpeftError("CONFIG-FIELD-MISSING", {
    message: `Please specify \`${field}\` in \`peft_config\``,
    where: field,
    expected: "a whole number",
    got: "null",
  });
}

/** Throws CONFIG-MODEL-FACT for a number that a config says of the model and that is another there. */
function checkFact(field: string, fields: Fields, modelConfig: Readonly<Record<string, unknown>>): void {
  const given = fields[field] ?? null;
  if (given === null || given === inferred(field, modelConfig)) return;
  throw new WebpeftError("CONFIG-MODEL-FACT", {
    message: `${field} is another in the base model`,
    where: field,
    expected: String(inferred(field, modelConfig)),
    got: String(given),
    help: "leave it out, or use the model that the adapter was made for",
  });
}

/** Width and heads of the keys of a model whose attentions take some, as they are: PEFT reckons them up from the config, and not always right. */
function keyFacts(modules: readonly ModuleInfo[]): Record<string, number> {
  const keys = modules.find(({ kind, keyHeads }) => kind === "attention" && keyHeads !== undefined);
  if (keys === undefined) return {};
  const { out, keyHeads, prefixHeads = keyHeads } = keys;
  return { token_dim: (out! / keyHeads!) * prefixHeads!, num_attention_heads: prefixHeads! };
}

/** The fields with what they left open. Throws CONFIG-TASK-TYPE without a task type, which decides how PEFT feeds virtual tokens. */
export function withModelFacts(
  fields: Fields,
  of: "embeddings" | "keys",
  modelConfig: Readonly<Record<string, unknown>>,
  modules: readonly ModuleInfo[],
): Fields {
  if ((fields.task_type ?? null) === null) {
    throw new WebpeftError("CONFIG-TASK-TYPE", {
      message: "A prompt method needs to know what the model is for.",
      where: "task_type",
      expected: "CAUSAL_LM",
      got: "null",
    });
  }
  const filled = Object.keys(sources).map((name) => [name, fields[name] ?? inferred(name, modelConfig)] as const);
  const facts = Object.fromEntries(filled) as Record<string, number>;
  const submodules = fields.num_transformer_submodules ?? (fields.task_type === "SEQ_2_SEQ_LM" ? 2 : 1);
  const open = (fields.token_dim ?? null) === null && (fields.num_attention_heads ?? null) === null;
  if (of === "keys" && open) Object.assign(facts, keyFacts(modules));
  if (of === "embeddings")
    for (const name of ["num_layers", "num_attention_heads"]) checkFact(name, fields, modelConfig);
  // PEFT's encoders are as wide as the tokens unless a config says otherwise.
  const width: Fields =
    "encoder_hidden_size" in fields ? { encoder_hidden_size: fields.encoder_hidden_size ?? facts.token_dim! } : {};
  return { ...fields, ...facts, ...width, num_transformer_submodules: submodules };
}

/** A `hidden_size` that a config leaves open is the model's. */
export function withHiddenSize(fields: Fields, modelConfig: Readonly<Record<string, unknown>>): Fields {
  if (!Object.hasOwn(fields, "hidden_size") || fields.hidden_size !== null) return fields;
  return { ...fields, hidden_size: inferred("token_dim", modelConfig) };
}
