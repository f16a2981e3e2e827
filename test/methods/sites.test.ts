/** Blocks for several kinds of sites, sites that a field names, ties: what fragments say, and what comes of it for whole models. */
import { beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { DiagnosticSink } from "../../src/ir/diagnostics.ts";
import { parseMethod } from "../../src/methods/index.ts";
import type { Executor } from "../../src/runtime/executors/executor.ts";
import { referenceExecutor } from "../../src/runtime/executors/reference.ts";
import type { Model } from "../../src/runtime/files/model.ts";
import { fromFloat32, toFloat32 } from "../../src/runtime/files/tensor.ts";
import { baseModel } from "../golden/helpers.ts";

type Config = Readonly<Record<string, unknown>>;
const batch = { input_ids: [3, 9, 9, 40, 1, 2, 3, 4], labels: [1, 2, 3, 4, 5, 6, 7, 8] };

let qwen2: Model;
let gpt2: Model;
let bert: Model;
let vit: Model;
beforeAll(async () => {
  [qwen2, gpt2, bert, vit] = (await Promise.all(["qwen2", "gpt2", "bert-cls", "vit-cls"].map(baseModel))) as [
    Model,
    Model,
    Model,
    Model,
  ];
});

const executor = (): Executor => referenceExecutor();

async function started(model: Model, config: Config | null, method?: string) {
  const program = await compile(model, config, {
    ...{ batch: 2, length: 4, sampling: false },
    ...(method === undefined ? {} : { method }),
    ...(config === null ? { mode: "infer" as const } : {}),
  });
  return program.start({ device: executor(), seed: 3 });
}

/** A session after two steps that leave nothing at its first value. */
async function trained(model: Model, config: Config) {
  const session = await started(model, config);
  for (let step = 0; step < 2; step++) await session.step(batch, { lr: 0.05 });
  return session;
}

const keysOf = async (model: Model, config: Config): Promise<string[]> =>
  [...(await (await started(model, config)).adapterTensors()).keys()].sort();

const codeOf = (model: Model, config: Config): Promise<string> =>
  started(model, config).then(
    () => "no error",
    (error: { code: string }) => error.code,
  );

const prefix = "base_model.model.";
const lora = (more: Config): Config => ({ peft_type: "LORA", r: 2, target_modules: ["q_proj"], ...more });

describe("fragments", () => {
  it("give a site the items of every block that names its kind", () => {
    const { ast, siteKinds } = parseMethod(`method m {
  on linear { let n = in; }
  on embedding { let n = out; }
  on linear, embedding { param a[n] = ones at "a"; W' = W; }
}`);
    expect(siteKinds).toEqual(["linear", "embedding"]);
    const names = ast.blocks.map(({ items }) => items.map((item) => ("name" in item ? item.name : item.kind)));
    expect(names).toEqual([
      ["n", "a", "W"],
      ["n", "a", "W"],
    ]);
  });

  it("name the field that names sites, and whether ties are followed", () => {
    const method = parseMethod(`method m {
  config rows: any? = null;
  on linear { W' = W; }
  on embedding from rows tied { W' = W; }
}`);
    expect(method.siteKinds).toEqual(["linear"]);
    expect(method.fieldSites).toEqual([{ field: "rows", siteKinds: ["embedding"] }]);
    expect([method.followsTie("embedding", "rows"), method.followsTie("linear", undefined)]).toEqual([true, false]);
  });

  const faulty: readonly (readonly [string, string])[] = [
    ["method m { on embedding from rows { W' = W; } }", "METHOD-NAME"],
    ['method m on norm { param a[out] = gain at "a" as half; gain\' = a; }', "METHOD-NAME"],
    ["method m on norm { W' = gain; }", "METHOD-NAME"],
    ['method m on linear { buffer a[in] = ones at "a" replaces [1]; W\' = W; }', "METHOD-DECLARATION"],
    ["method m on linear { let x = gain; W' = x; }", "METHOD-NAME"],
    ["method m on linear, { W' = W; }", "METHOD-SYNTAX"],
  ];
  it.each(faulty)("%s", (text, code) => {
    expect(() => parseMethod(text).ast).toThrow(expect.objectContaining({ code }));
  });

  it("adapt a norm by a vector, not by an operator", async () => {
    const text = "method m on norm { gain' = diag(gain); }";
    const config = { peft_type: "M", target_modules: ["norm"] };
    await expect(started(qwen2, config, text)).rejects.toMatchObject({ code: "METHOD-TYPE" });
  });
});

describe("tokens of LoRA", () => {
  const tokens = (value: unknown): Config => lora({ trainable_token_indices: value });
  const rows = (path: string): string => `${prefix}${path}.token_adapter.trainable_tokens_delta`;
  const trainedRows = async (model: Model, value: unknown): Promise<string[]> =>
    (await keysOf(model, tokens(value))).filter((key) => key.endsWith("delta"));

  it.each([2, "3", [], [1.5], { embed_tokens: 2 }])("are lists of numbers, and not %j", async (value) => {
    expect(await codeOf(qwen2, tokens(value))).toBe("CONFIG-FIELD-TYPE");
  });

  it("are those of the input embedding, or of named layers; ends that train alike have one tensor", async () => {
    const both = [rows("model.embed_tokens")];
    expect(await trainedRows(qwen2, [1, 2])).toEqual(both);
    expect(await trainedRows(qwen2, { embed_tokens: [1, 2] })).toEqual(both);
    expect(await trainedRows(qwen2, { embed_tokens: [1, 2], lm_head: [1, 2] })).toEqual(both);
    expect(await trainedRows(qwen2, { lm_head: [1, 2] })).toEqual([rows("lm_head")]);
    expect(await trainedRows(qwen2, { embed_tokens: [1, 2], lm_head: [5] })).toEqual([rows("lm_head"), ...both]);
  });

  it.each([
    ["a name that hits nothing", { nowhere: [1] }],
    ["a norm", { input_layernorm: [1] }],
    ["the target", { q_proj: [1] }],
  ])("refuse %s", async (_what, value) => {
    expect(await codeOf(qwen2, tokens(value))).toBe("CONFIG-FIELD-SITES");
  });

  it("refuse a module that trains in full, tokens that are not there, and ties that cannot be kept", async () => {
    expect(await codeOf(qwen2, { ...tokens([1]), modules_to_save: ["embed_tokens"] })).toBe("CONFIG-FIELD-SITES");
    expect(await codeOf(qwen2, tokens([64]))).toBe("METHOD-CONSTRAINT");
    expect(await codeOf(qwen2, tokens([3, 3]))).toBe("METHOD-CONSTRAINT");
    const ensured = { ensure_weight_tying: true };
    expect(await codeOf(qwen2, { ...tokens([1]), ...ensured })).toBe("no error");
    expect(await codeOf(qwen2, { ...tokens({ embed_tokens: [1], lm_head: [2] }), ...ensured })).toBe("CONFIG-TIES");
    const without = lora({ target_modules: ["embed_tokens", "q_proj"], exclude_modules: ["embed_tokens"] });
    expect(await codeOf(qwen2, { ...without, ...ensured })).toBe("CONFIG-TIES");
  });
});

describe("trainable tokens", () => {
  const config = (more: Config = {}): Config => ({ peft_type: "TRAINABLE_TOKENS", token_indices: [3, 9], ...more });

  it("are written under both ends of a tie, and read from either", async () => {
    const session = await trained(gpt2, config());
    const files = await session.adapterTensors();
    expect([...files.keys()].sort()).toEqual([
      `${prefix}lm_head.trainable_tokens_delta`,
      `${prefix}transformer.wte.trainable_tokens_delta`,
    ]);
    const want = (await session.forward(batch)).logits;
    for (const key of files.keys()) {
      const tensors = { tensors: new Map([[key, files.get(key)!]]), read: async () => files.get(key)! };
      const program = await compile(gpt2, config(), { batch: 2, length: 4, sampling: false, loaded: true });
      const adapter = { config: {}, tensors, tree: undefined } as never;
      const again = await program.start({ device: executor(), adapter });
      expect([...(await again.forward(batch)).logits]).toEqual([...want]);
    }
  });

  it("train in all of several embeddings that share a table, and in the head, or not at all", async () => {
    const of = (indices: unknown) => lora({ target_modules: ["q"], trainable_token_indices: indices });
    const t5 = await baseModel("t5");
    expect(await codeOf(t5, of([3]))).toBe("no error");
    expect(await codeOf(t5, of({ shared: [3] }))).toBe("no error");
    expect(await codeOf(t5, of({ embed_tokens: [3] }))).toBe("CONFIG-TIES");
    expect(await codeOf(t5, of({ shared: [3], embed_tokens: [4] }))).toBe("CONFIG-TIES");
    expect(await codeOf(t5, of({ shared: [3], lm_head: [4] }))).toBe("CONFIG-TIES");
    expect(await codeOf(t5, config({ target_modules: ["decoder.embed_tokens"] }))).toBe("CONFIG-TIES");
    // Its head is no part of the tie, and PEFT puts rows of the table there; there is none to be part of it.
    for (const name of ["mt5", "t5-cls"]) expect(await codeOf(await baseModel(name), of([3]))).toBe("CONFIG-TIES");
  });

  it("must be there, different, and some", async () => {
    expect(await codeOf(gpt2, config({ token_indices: [] }))).toBe("METHOD-CONSTRAINT");
    expect(await codeOf(gpt2, config({ token_indices: [1, 1] }))).toBe("METHOD-CONSTRAINT");
    expect(await codeOf(gpt2, config({ token_indices: [64] }))).toBe("METHOD-CONSTRAINT");
    expect(await codeOf(gpt2, config({ target_modules: ["ln_f"] }))).toBe("CONFIG-TARGET-KIND");
  });
});

describe("merging", () => {
  const cases: readonly (readonly [string, () => Model, Config, boolean])[] = [
    ["one end of a tie", () => qwen2, lora({ target_modules: ["embed_tokens"] }), false],
    ["the other end", () => qwen2, lora({ target_modules: ["lm_head"] }), false],
    ["both ends apart", () => qwen2, lora({ trainable_token_indices: { embed_tokens: [3], lm_head: [9] } }), false],
    ["a copy of one end", () => qwen2, lora({ modules_to_save: ["lm_head"] }), false],
    ["both ends alike", () => qwen2, lora({ trainable_token_indices: [3, 9] }), true],
    ["norms with biases", () => gpt2, { peft_type: "LN_TUNING" }, true],
    ["an embedding of Conv1D models", () => gpt2, lora({ target_modules: ["wte", "wpe", "c_attn"] }), false],
  ];

  it.each(cases)("of %s gives the adapted model", async (_what, model, config, staysTied) => {
    const session = await trained(model(), config);
    const sink = new DiagnosticSink();
    const merged = await session.merge(sink);
    const plain = await started(merged, null);
    const [want, got] = [(await session.forward(batch)).logits, (await plain.forward(batch)).logits];
    const largest = Math.max(...want.map(Math.abs));
    expect(Math.max(...want.map((x, i) => Math.abs(x - got[i]!))) / largest).toBeLessThan(1e-5);
    expect(merged.config.tie_word_embeddings).toBe(staysTied);
    expect(merged.weights.keys().includes("lm_head.weight")).toBe(!staysTied);
    expect(sink.diagnostics.map(({ code }) => code)).toEqual(staysTied ? [] : ["MERGE-UNTIED"]);
  });
});

describe("what stands beside trained tensors in a file", () => {
  it("is the base weight of an adapted embedding, where PEFT writes it", async () => {
    const frozen = `${prefix}model.embed_tokens.base_layer.weight`;
    const session = await started(qwen2, lora({ target_modules: ["embed_tokens"] }));
    const tensor = (await session.adapterTensors()).get(frozen)!;
    expect([...toFloat32(tensor)]).toEqual([...toFloat32(await qwen2.weights.read("model.embed_tokens.weight"))]);
    const others = [lora({}), lora({ target_modules: ["embed_tokens"], modules_to_save: ["norm"] })];
    expect((await keysOf(qwen2, others[0]!)).filter((key) => key.includes("base_layer"))).toEqual([]);
    expect(await keysOf(qwen2, others[1]!)).toContain(frozen);
    expect((await keysOf(gpt2, lora({ target_modules: ["wte"] }))).join()).not.toContain("base_layer");
  });

  it("has the base's dtype where PEFT trains copies in it, and f32 elsewhere", async () => {
    const half: Model = {
      ...gpt2,
      weights: {
        ...gpt2.weights,
        info: (key) => ({ ...gpt2.weights.info(key)!, dtype: "BF16" }),
        read: async (key) => {
          const tensor = await gpt2.weights.read(key);
          return fromFloat32(toFloat32(tensor).slice(), "BF16", tensor.shape);
        },
      },
    };
    const dtypes = async (config: Config): Promise<Set<string>> =>
      new Set([...(await (await started(half, config)).adapterTensors()).values()].map(({ dtype }) => dtype));
    expect(await dtypes({ peft_type: "LN_TUNING" })).toEqual(new Set(["BF16"]));
    expect(await dtypes({ peft_type: "TRAINABLE_TOKENS", token_indices: [3] })).toEqual(new Set(["F32"]));
  });

  it("is the original of a classifier whose bias trains", async () => {
    const config = { peft_type: "LORA", task_type: "SEQ_CLS", r: 2, bias: "all" };
    const tensors = await (await started(bert, config)).adapterTensors();
    const original = tensors.get(`${prefix}classifier.original_module.bias`)!;
    expect([...toFloat32(original)]).toEqual([...toFloat32(await bert.weights.read("classifier.bias"))]);
  });
});

describe("tensors of a module that are neither weight nor bias", () => {
  const images = {
    pixel_values: Float32Array.from({ length: 2 * 3 * 144 }, (_unused, i) => Math.sin(i)),
    labels: [0, 2],
  };
  const config = lora({ target_modules: ["q_proj"], modules_to_save: ["embeddings"] });
  const embeddings = (name: string): string => `vit.embeddings.${name}`;
  const names = [
    "cls_token",
    "position_embeddings",
    "patch_embeddings.projection.weight",
    "patch_embeddings.projection.bias",
  ];

  it("are trained, saved and merged with the module that holds them", async () => {
    const session = await started(vit, config);
    const { gradients } = await session.gradients(images);
    for (const name of names)
      expect(
        gradients[`${prefix}${embeddings(name)}`]!.some((g) => g !== 0),
        name,
      ).toBe(true);
    await session.step(images, { lr: 0.05 });
    const merged = await session.merge();
    for (const name of names) {
      const before = toFloat32(await vit.weights.read(embeddings(name)));
      expect([...toFloat32(await merged.weights.read(embeddings(name)))], name).not.toEqual([...before]);
    }
    const plain = await started(merged, null);
    const [want, got] = [(await session.forward(images)).logits, (await plain.forward(images)).logits];
    expect(Math.max(...want.map((x, i) => Math.abs(x - got[i]!)))).toBeLessThan(1e-5);
  });

  it("all train when a model trains in full", async () => {
    const program = await compile(vit, null, { batch: 2, length: 1, full: true });
    const { gradients } = await (await program.start({ device: executor() })).gradients(images);
    expect(Object.keys(gradients).sort()).toEqual([...vit.weights.keys()].sort());
  });

  it("images must be there in full", async () => {
    const session = await started(vit, null);
    await expect(session.forward({ input_ids: [1] })).rejects.toMatchObject({ code: "DATA-BATCH" });
    await expect(session.forward({ pixel_values: [1] })).rejects.toMatchObject({ code: "DATA-BATCH" });
  });
});
