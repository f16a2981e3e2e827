/**
 * No field of a config is read and forgotten: another value changes the program or its numbers, is refused, or leaves a diagnostic. Fields that
 * all methods have take turns over the methods (`npm run test:all`: all with each).
 */
import { expect, test } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import { printGraph } from "../../src/ir/text/print.ts";
import type { FieldDeclaration, FieldValue } from "../../src/methods/fields.ts";
import { type Method, methods } from "../../src/methods/index.ts";
import type { Model } from "../../src/runtime/files/model.ts";
import { part } from "../extent.ts";
import { baseModel } from "../golden/helpers.ts";
import { declaredFields } from "./random-configs.ts";

type Config = Readonly<Record<string, FieldValue>>;

const bert = await baseModel("bert-cls");
/** One layer shows as much as several. */
const gpt2 = await baseModel("gpt2");
const model: Model = { ...bert, config: { ...bert.config, num_hidden_layers: 1 } };

/** Targets and sizes that fit the widths 32 and 64 of the model. */
const usual: Config = { target_modules: ["query", "dense"], peft_version: "0.21.2" };
const starts: Readonly<Record<string, Config>> = {
  ADALORA: { init_r: 4, total_step: 20 },
  BOFT: { boft_block_size: 4 },
  BONE: { r: 4 },
  C3A: { block_size: 8 },
  FOURIERFT: { n_frequency: 40 },
  GRALORA: { r: 4 },
  LOKR: { r: 1 },
  IA3: { feedforward_modules: ["dense"] },
  LN_TUNING: { target_modules: ["LayerNorm"] },
  MISS: { r: 4 },
  OFT: { oft_block_size: 8 },
  RANDLORA: { r: 8 },
  ROAD: { group_size: 8 },
  SHIRA: { r: 2 },
  TRAINABLE_TOKENS: { target_modules: ["word_embeddings"], token_indices: [1, 2] },
  VBLORA: { num_vectors: 8, vector_length: 8 },
  VERA: { r: 8 },
  WAVEFT: { n_frequency: 40 },
};

/** Fields that need another model: one with a tie. */
const models: Readonly<Record<string, Model>> = { ensure_weight_tying: gpt2 };

/** What has to hold beside a field for it to matter. */
const beside: Readonly<Record<string, Config>> = {
  "OFT.eps": { coft: true },
  "LOKR.rank_dropout_scale": { rank_dropout: 0.5 },
  ensure_weight_tying: { target_modules: ["c_attn"], modules_to_save: ["wte"] },
  "XLORA.xlora_size": { xlora_depth: 2 },
  "XLORA.xlora_dropout_p": { xlora_depth: 2 },
  "MISS.mini_r": { init_weights: "mini" },
  layers_pattern: { layers_to_transform: [0] },
  "CPT.opt_weighted_loss_type": { opt_loss_decay_factor: 0.5 },
  "CPT.opt_loss_decay_factor": { opt_weighted_loss_type: "decay" },
};

/** Values where one made from the declaration would be none of the interesting ones. */
const others: Readonly<Record<string, FieldValue>> = {
  "LN_TUNING.target_modules": ["output.LayerNorm"],
  "LN_TUNING.exclude_modules": ["output.LayerNorm"],
  "TRAINABLE_TOKENS.target_modules": ["position_embeddings"],
  "IA3.feedforward_modules": ["query"],
  "LORA.init_lora_weights": "gaussian",
  "SHIRA.mask_type": "magnitude",
  "OFT.r": 4,
  "XLORA.adapters": { second: "second" },
  "XLORA.top_k_lora": 1,
  target_modules: ["query"],
  exclude_modules: ["query"],
  modules_to_save: ["pooler"],
  layers_to_transform: [1],
  layers_pattern: "h",
  bias: "all",
  task_type: "SEQ_CLS",
};

/** They tell where a config comes from, or what for. They are written back, and say nothing of the adapter. */
const bookkeeping = [
  ...["cpt_mask", "tokenizer_name_or_path"].map((name) => `CPT.${name}`),
  ...["PROMPT_TUNING", "PREFIX_TUNING", "P_TUNING", "ADAPTION_PROMPT", "XLORA"].map((type) => `${type}.task_type`),
  "TRAINABLE_TOKENS.task_type",
  "auto_mapping",
  "base_model_name_or_path",
  "revision",
  "inference_mode",
  "peft_version",
];

/** Methods that only decoders have a place for: with virtual tokens, or reading hidden states. */
const decoders: Readonly<Record<string, Config>> = {
  PROMPT_TUNING: { num_virtual_tokens: 2, task_type: "CAUSAL_LM" },
  PREFIX_TUNING: { num_virtual_tokens: 2, task_type: "CAUSAL_LM" },
  P_TUNING: { num_virtual_tokens: 2, task_type: "CAUSAL_LM" },
  ADAPTION_PROMPT: { adapter_len: 2, adapter_layers: 1 },
  CPT: { cpt_token_ids: [5, 9, 2, 7], cpt_tokens_type_mask: [1, 2, 3, 4], task_type: "CAUSAL_LM" },
  XLORA: { adapters: { first: "first", second: "second" } },
};

const startOf = ({ peftType }: Method): Config =>
  decoders[peftType] === undefined
    ? { peft_type: peftType, ...usual, ...starts[peftType] }
    : { peft_type: peftType, ...decoders[peftType] };

/** A legal value that is neither the field's default nor what the start has. */
function anotherValue(field: FieldDeclaration, start: FieldValue | undefined): FieldValue {
  const now = start ?? field.default;
  if (field.oneOf !== undefined) return field.oneOf.find((value) => value !== now)!;
  switch (field.type) {
    case "int":
      return typeof now === "number" && now > 0 ? now * 2 : 3;
    case "float":
      return now === 0.5 ? 0.25 : 0.5;
    case "bool":
      return !now;
    case "string":
      return "another";
    case "int_list":
      return [3];
    case "string_list":
      return ["query"];
    case "int_map":
      return { "layer.0.attention.self.query": 2 };
    case "float_map":
      return { "layer.0.attention.self.query": 2.5 };
    case "bool_list_map":
      return { "bert.encoder.layer.0.attention.self.query.lora_E": [true, false, true, false] };
    case "any":
      return typeof now === "boolean" ? !now : ["something"];
  }
}

/** What a config that mixes adapters finds. */
const expert: Config = { peft_type: "LORA", r: 2, target_modules: ["q_proj"], peft_version: "0.21.2" };

interface Outcome {
  /** Everything that decides numbers: the graphs, the adapter's tensors and its tables. */
  readonly program: string;
  /** Codes, places and words of the diagnostics. */
  readonly diagnostics: readonly string[];
}

async function outcome(config: Config, base = model): Promise<Outcome | WebpeftError> {
  try {
    const program = await compile(base, config, { batch: 2, length: 4, experts: { first: expert, second: expert } });
    const graphs = [...program.stages.map(({ graph }) => graph), program.init!()];
    const { tensors, data, frozen } = program.adapter!;
    const tables = [...data].map(([name, values]) => `${name} ${values.join()}`);
    return {
      program: [...graphs.map((graph) => printGraph(graph)), ...tables, JSON.stringify({ tensors, frozen })].join("\n"),
      diagnostics: program.diagnostics.map((d) => `${d.code} ${d.where} ${d.message}`),
    };
  } catch (error) {
    if (error instanceof WebpeftError) return error;
    throw error;
  }
}

/** Whether another value of the field shows. `outcomeOf` is `outcome` with a memory. */
async function shows(method: Method, field: FieldDeclaration, outcomeOf: typeof outcome): Promise<boolean> {
  const base = models[field.name] ?? (decoders[method.peftType] === undefined ? model : decoder);
  const own = `${method.peftType}.${field.name}`;
  const start = { ...startOf(method), ...(beside[own] ?? beside[field.name]) };
  const value = others[own] ?? others[field.name] ?? anotherValue(field, start[field.name]);
  const [before, after] = [await outcomeOf(start, base), await outcome({ ...start, [field.name]: value }, base)];
  if (before instanceof WebpeftError) throw before;
  if (after instanceof WebpeftError) return true;
  if (after.program !== before.program) return true;
  return after.diagnostics.some((line) => line.includes(field.name));
}

const decoder = await baseModel("llama");

const cases = [...methods.values()].map((method, turn) => [method.peftType, method, turn] as const);

test.each(part(cases, 2))("%s", async (_name, method, turn) => {
  const used = declaredFields(method).filter(
    ({ name }) => !bookkeeping.includes(name) && !bookkeeping.includes(`${method.peftType}.${name}`),
  );
  const isOwn = ({ name }: FieldDeclaration): boolean => method.fields.some((field) => field.name === name);
  const general = used.filter((field) => !isOwn(field));
  const fields = [...used.filter(isOwn), ...part(general, 3, turn)];
  const known = new Map<string, ReturnType<typeof outcome>>();
  const outcomeOf = (config: Config, base = model): ReturnType<typeof outcome> => {
    const key = JSON.stringify(config);
    const found = known.get(key) ?? outcome(config, base);
    known.set(key, found);
    return found;
  };
  const forgotten: string[] = [];
  for (const field of fields) if (!(await shows(method, field, outcomeOf))) forgotten.push(field.name);
  expect(forgotten).toEqual([]);
});
