/** Virtual tokens: what stands in front of the text is computed as text is; what has no place for it says so. */
import { readdirSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { countLabels, describeModel } from "../../src/models/index.ts";
import { oneBatchStream } from "../../src/runtime/data/dataset.ts";
import { dataLabels } from "../../src/runtime/data/labels.ts";
import { referenceExecutor } from "../../src/runtime/executors/reference.ts";
import type { Model } from "../../src/runtime/files/model.ts";
import { toFloat32 } from "../../src/runtime/files/tensor.ts";
import type { Session } from "../../src/runtime/session/session.ts";
import { goldenJson } from "../config/golden.ts";
import { part } from "../extent.ts";
import { baseModel } from "../golden/helpers.ts";
import { difference } from "../runtime/executor-samples.ts";

type Config = Readonly<Record<string, unknown>>;

/** All but the one whose embeddings are narrower than its layers, where PEFT has no place for a prompt either. */
const decoders = readdirSync(new URL("../fixtures/golden/bases", import.meta.url)).filter((name) => {
  const { head } = describeModel(goldenJson(`bases/${name}/config.json`)).defaults;
  return head.kind === "causal" && name !== "opt-after";
});

const models: Record<string, Model> = {};
beforeAll(async () => {
  for (const name of [...decoders, "bert-cls", "t5", "t5-cls", "mt5-token", "vit-cls"])
    models[name] = await baseModel(name);
});

/** The rows that the model puts in front of its layers; gemma's are scaled where they are looked up. */
async function embeddings({ config, weights }: Model): Promise<Float32Array> {
  const { weight } = describeModel(config, undefined, (key) => weights.keys().includes(key)).modules.find(
    ({ kind }) => kind === "embedding",
  )!;
  const scale = String(config.model_type).startsWith("gemma") ? Math.sqrt(Number(config.hidden_size)) : 1;
  return toFloat32(await weights.read(weight!)).map((x) => x * scale);
}

const text = [3, 9, 9, 30, 1, 2, 3, 4];
const task = { task_type: "CAUSAL_LM" };
const promptTuning = { peft_type: "PROMPT_TUNING", num_virtual_tokens: 2, ...task };
const prefixTuning = { peft_type: "PREFIX_TUNING", num_virtual_tokens: 3, ...task };
const labels = { task_type: "SEQ_2_SEQ_LM" };
const keys = { ...labels, token_dim: 24, num_attention_heads: 4 };
const sized = ["falcon", "falcon-grouped", "gpt-bigcode", "gemma", "qwen3", "t5"] as const;
const cpt = {
  ...{ peft_type: "CPT", cpt_token_ids: [5, 9], cpt_mask: [1, 1], cpt_tokens_type_mask: [1, 2], ...task },
};
const adaptionPrompt = { peft_type: "ADAPTION_PROMPT", adapter_len: 2, adapter_layers: 1, ...task };

async function started(model: string, config: Config | null, more: { length?: number; method?: string } = {}) {
  const mode = config === null ? ("infer" as const) : ("train" as const);
  const options = { mode, batch: 2, length: 4, mask: true, sampling: false, ...more };
  return (await compile(models[model]!, config, options)).start({ device: referenceExecutor(), seed: 3 });
}

const codeOf = (model: string, config: Config, method?: string): Promise<string> =>
  started(model, config, method === undefined ? {} : { method }).then(
    () => "no error",
    (error: { code: string }) => error.code,
  );

/** The rows of a batch of logits from a position on. */
const behind = (logits: Float32Array, length: number, from: number): number[] => {
  const width = logits.length / 2 / length;
  return [0, 1].flatMap((row) => [...logits.subarray((row * length + from) * width, (row + 1) * length * width)]);
};

async function withPrompt(session: Session, table: Float32Array, tokens: readonly number[]): Promise<void> {
  const { params } = await session.optimizerState();
  const width = (await session.parameters()).get("prompt_embeddings")!.length / tokens.length;
  const rows = Float32Array.from(params);
  tokens.forEach((token, i) => {
    rows.set(table.subarray(token * width, (token + 1) * width), i * width);
  });
  await session.restore({ ...(await session.optimizerState()), params: rows });
}

describe("prompt tuning", () => {
  it.each(part(decoders, 2))("%s: rows that are the embeddings of tokens are these tokens", async (name) => {
    const table = await embeddings(models[name]!);
    const attention_mask = [1, 1, 1, 1, 0, 1, 1, 1];
    const session = await started(name, promptTuning);
    await withPrompt(session, table, [5, 11]);
    const { logits } = await session.forward({ input_ids: text, attention_mask });
    const base = await started(name, null, { length: 6 });
    const input_ids = [5, 11, ...text.slice(0, 4), 5, 11, ...text.slice(4)];
    const mask = [1, 1, ...attention_mask.slice(0, 4), 1, 1, ...attention_mask.slice(4)];
    const wanted = (await base.forward({ input_ids, attention_mask: mask })).logits;
    expect(logits).toHaveLength(wanted.length);
    expect(difference(behind(logits, 6, 0), behind(wanted, 6, 0))).toBeLessThan(1e-6);
    await withPrompt(session, table, [11, 5]);
    const swapped = (await session.forward({ input_ids: text, attention_mask })).logits;
    expect(difference(behind(swapped, 6, 2), behind(wanted, 6, 2))).toBeGreaterThan(1e-3);
  });

  it("the first token of a row is predicted from the last virtual one", () => {
    const labels = [1, -100, 3, 4];
    expect(countLabels(labels, 4, { kind: "causal" })).toBe(2);
    expect(countLabels(labels, 4, { kind: "causal" }, 2)).toBe(3);
  });

  it("learns from a batch with a label at the first token alone", async () => {
    const session = await started("llama", promptTuning);
    const labels = [5, ...new Array<number>(7).fill(-100)];
    const losses: number[] = [];
    for await (const event of session.train({ input_ids: text, labels }, { steps: 2, lr: 0.05 }))
      if (event.type === "step") losses.push(event.loss);
    expect(losses[1]).toBeLessThan(losses[0]!);
    const stream = oneBatchStream(2, 4, { input_ids: Int32Array.from(text), labels: Int32Array.from(labels) });
    expect(dataLabels(session.program, stream)).toEqual({ trained: 1, ignored: 7 });
    const base = await started("llama", null);
    expect(() => dataLabels(base.program, stream)).toThrow(expect.objectContaining({ code: "DATA-LABELS-MASKED" }));
  });
});

describe("a prompt of a model that classifies tokens", () => {
  it.each(["PROMPT_TUNING", "P_TUNING"])(
    "%s: virtual tokens have no label, and the text keeps its own",
    async (type) => {
      const config = { ...promptTuning, peft_type: type, encoder_hidden_size: 8, task_type: "TOKEN_CLS" };
      const session = await started("bert-cls", config);
      const labels = [0, 1, 2, -100, 2, 1, 0, -100];
      const { logits, loss } = await session.forward({ input_ids: text, labels });
      const classes = logits.length / 2 / 6;
      const surprises = behind(logits, 6, 2).flatMap((_x, i, rows) => {
        if (i % classes !== 0 || labels[i / classes]! < 0) return [];
        const row = rows.slice(i, i + classes);
        return Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0)) - row[labels[i / classes]!]!;
      });
      expect(surprises).toHaveLength(6);
      expect(loss).toBeCloseTo(surprises.reduce((sum, x) => sum + x, 0) / 6, 5);
    },
  );
});

describe("prefixes", () => {
  const sizes: Record<(typeof sized)[number], readonly [number, number]> = {
    ...{ falcon: [4, 1], "falcon-grouped": [16, 4], "gpt-bigcode": [8, 1] },
    ...{ gemma: [12, 1], qwen3: [24, 2], t5: [24, 4] },
  };

  it.each(sized)("%s: are as wide as the keys that transformers keeps", async (name) => {
    const { program } = await started(name, { ...prefixTuning, ...(name === "t5" ? labels : {}) });
    const { token_dim, num_attention_heads } = program.adapter!.savedConfig;
    expect([token_dim, num_attention_heads]).toEqual(sizes[name]);
  });
});

describe("T5", () => {
  it("writes behind prefixes whose keys are narrower than the stream", async () => {
    const session = await started("t5", { ...prefixTuning, ...keys });
    const batch = { input_ids: text, labels: text };
    expect(session.program.virtual).toEqual({ tokens: 0, keys: 3 });
    const before = (await session.forward(batch)).loss!;
    await session.step(batch, { lr: 0.05 });
    expect((await session.forward(batch)).loss!).toBeLessThan(before);
  });

  it("has virtual tokens in front of tokens that its encoder classifies", async () => {
    const session = await started("mt5-token", { ...promptTuning, task_type: "TOKEN_CLS" });
    const table = await embeddings(models["mt5-token"]!);
    await withPrompt(session, table, [5, 11]);
    const { logits } = await session.forward({ input_ids: text });
    const base = await started("mt5-token", null, { length: 6 });
    const input_ids = [5, 11, ...text.slice(0, 4), 5, 11, ...text.slice(4)];
    expect(difference([...logits], [...(await base.forward({ input_ids })).logits])).toBeLessThan(1e-6);
  });
});

describe("a fresh LLaMA-Adapter", () => {
  it.each(["llama", "gpt2"])("%s: is the base bit for bit, and learns through its gate", async (name) => {
    const session = await started(name, adaptionPrompt);
    const [adapted, base] = [await session.forward({ input_ids: text }), await started(name, null)];
    expect([...adapted.logits]).toEqual([...(await base.forward({ input_ids: text })).logits]);
    const { gradients } = await session.gradients({ input_ids: text, labels: text });
    const largest = (end: string): number => {
      const [, values] = Object.entries(gradients).find(([key]) => key.endsWith(end))!;
      return values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    };
    expect(largest("adaption_gate")).toBeGreaterThan(1e-4);
    expect(largest("adaption_prompt")).toBe(0);
  });
});

describe("refused with a code", () => {
  it.each<[string, string, Config, string]>([
    ["a prompt without a task type", "llama", { ...promptTuning, task_type: null }, "CONFIG-TASK-TYPE"],
    ["a prompt without a size", "llama", { ...promptTuning, num_virtual_tokens: null }, "METHOD-CONSTRAINT"],
    ["another hidden width", "llama", { ...promptTuning, token_dim: 8 }, "METHOD-CONSTRAINT"],
    ["a fresh prompt from a text", "llama", { ...promptTuning, prompt_tuning_init: "TEXT" }, "METHOD-CONSTRAINT"],
    ["a prompt for two models", "llama", { ...promptTuning, task_type: "SEQ_2_SEQ_LM" }, "METHOD-CONSTRAINT"],
    ["more positions than the model has", "gpt2", { ...promptTuning, num_virtual_tokens: 4000 }, "MODEL-LENGTH"],
    ["a prompt of images", "vit-cls", { ...promptTuning, token_dim: 32 }, "CONFIG-SITE-NOT-FOUND"],
    ["a prompt for another task than the model's", "t5", promptTuning, "METHOD-CONSTRAINT"],
    ["a prompt of a text that is read twice", "t5-cls", { ...promptTuning, task_type: "SEQ_CLS" }, "METHOD-SITE"],
    [
      "a prompt of three models",
      "t5",
      { ...promptTuning, ...labels, num_transformer_submodules: 3 },
      "METHOD-CONSTRAINT",
    ],
    ["prefixes of one of two", "t5", { ...prefixTuning, ...keys, num_transformer_submodules: 1 }, "METHOD-CONSTRAINT"],
    ["prefixes for another task than the model's", "t5", { ...prefixTuning, ...keys, ...task }, "METHOD-CONSTRAINT"],
    [
      "prefixes as wide as the stream where keys are not",
      "t5",
      { ...prefixTuning, ...keys, token_dim: 32 },
      "METHOD-CONSTRAINT",
    ],
    [
      "prefixes of heads that share keys",
      "falcon",
      { ...prefixTuning, token_dim: 16, num_attention_heads: 4 },
      "METHOD-CONSTRAINT",
    ],
    ["prefixes of fewer layers", "t5", { ...prefixTuning, ...keys, num_layers: 1 }, "METHOD-CONSTRAINT"],
    ["prefixes of an encoder", "mt5-token", { ...prefixTuning, task_type: "TOKEN_CLS" }, "CONFIG-SITE-NOT-FOUND"],
    [
      "prefixes where rows are classified",
      "t5-cls",
      { ...prefixTuning, task_type: "SEQ_CLS" },
      "CONFIG-SITE-NOT-FOUND",
    ],
    ["a context of an encoder", "t5", { ...cpt }, "METHOD-CONSTRAINT"],
    ["LLaMA-Adapter in T5", "t5", { ...adaptionPrompt, target_modules: "EncDecAttention" }, "CONFIG-SITE-NOT-FOUND"],
    [
      "LLaMA-Adapter in T5's decoder",
      "t5",
      { ...adaptionPrompt, target_modules: "SelfAttention" },
      "METHOD-CONSTRAINT",
    ],
    ["prefixes where no place is built", "bert-cls", prefixTuning, "CONFIG-SITE-NOT-FOUND"],
    ["another number of layers", "llama", { ...promptTuning, num_layers: 9 }, "CONFIG-MODEL-FACT"],
    ["another number of heads", "llama", { ...promptTuning, num_attention_heads: 9 }, "CONFIG-MODEL-FACT"],
    ["prefixes that begin in an unknown way", "llama", { ...prefixTuning, init_weights: "one" }, "METHOD-CONSTRAINT"],
    ["prefixes of other heads", "llama", { ...prefixTuning, num_attention_heads: 1 }, "METHOD-CONSTRAINT"],
    ["more layers than there are", "llama", { ...adaptionPrompt, adapter_layers: 9 }, "CONFIG-LAYERS"],
    ["no number of layers", "llama", { ...adaptionPrompt, adapter_layers: null }, "CONFIG-LAYERS"],
    ["no length", "llama", { ...adaptionPrompt, adapter_len: null }, "METHOD-CONSTRAINT"],
    ["a family without a default", "bert-cls", adaptionPrompt, "CONFIG-TARGETS-NO-DEFAULT"],
  ])("%s", async (_what, model, config, code) => {
    expect(await codeOf(model, config)).toBe(code);
  });

  it.each([promptTuning, prefixTuning, adaptionPrompt])("merging $peft_type", async (config) => {
    await expect((await started("llama", config)).merge()).rejects.toMatchObject({ code: "MERGE-METHOD" });
  });
});

describe("a method of one's own", () => {
  const own = { peft_type: "MINE" };

  it("may put rows in front of the text and of the keys at once", async () => {
    const method = `method mine {
      on prompt { param P[2, out] = normal at "rows"; rows' = P; }
      on attention { param K[3, out] = normal at "k"; keys' = K; values' = 2 * K; }
    }`;
    const session = await started("llama", own, { method });
    const before = await session.forward({ input_ids: text, labels: text });
    expect(session.program.virtual).toEqual({ tokens: 2, keys: 3 });
    await session.step({ input_ids: text, labels: text }, { lr: 0.05 });
    expect((await session.forward({ input_ids: text, labels: text })).loss!).toBeLessThan(before.loss!);
  });

  it.each([
    [`method mine on prompt { param P[2, 3] = normal at "rows"; rows' = P; }`, "METHOD-TYPE"],
    [`method mine on prompt { param P[2, out] = normal at "rows"; W' = P; }`, "METHOD-NAME"],
    [`method mine on attention { param K[3, out] = normal at "k"; keys' = K; values' = K[0 : 2, :]; }`, "METHOD-TYPE"],
    [`method mine on attention { param K[3, out] = normal at "k"; keys' = K; }`, "METHOD-TYPE"],
  ])("%s", async (method, code) => {
    expect(await codeOf("llama", own, method)).toBe(code);
  });
});
