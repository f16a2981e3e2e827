/** What merging refuses: biases that the model cannot hold, weights that its type cannot, results that are not the adapter's. */
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { judgeGap } from "../../src/cli/merge.ts";
import { compile } from "../../src/compile/index.ts";
import type { CompileOptions } from "../../src/compile/options.ts";
import { DiagnosticSink } from "../../src/ir/diagnostics.ts";
import { loadModel, type Model } from "../../src/runtime/files/model.ts";
import { modelFiles, saveModel } from "../../src/runtime/files/save-model.ts";
import { fromFloat32, toFloat32 } from "../../src/runtime/files/tensor.ts";
import type { Session } from "../../src/runtime/session/session.ts";
import { smallWeights } from "../small-models.ts";
import { tinyModel } from "./tiny-model.ts";

const model = await tinyModel();
const ids = [3, 5, 7, 1];
const batch = { input_ids: ids, labels: ids };
const size = { batch: 1, length: 4 };
const smallVit = {
  ...{ model_type: "vit", architectures: ["ViTForImageClassification"], hidden_size: 8, intermediate_size: 6 },
  ...{ num_hidden_layers: 1, num_attention_heads: 2, image_size: 4, patch_size: 2, num_channels: 1 },
  id2label: { 0: "a", 1: "b" },
};
const lora = { peft_type: "LORA", r: 2, target_modules: ["q_proj"], init_lora_weights: false };

async function start(config: object | null, from: Model = model, options: CompileOptions = {}): Promise<Session> {
  return (await compile(from, config, { ...size, ...options })).start({ device: "cpu", seed: 1 });
}
const plain = async (merged: Model) => (await start(null, merged, { mode: "infer" })).forward(batch);
const largest = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);

const method = (body: string): string =>
  `method own on linear { param d[out] = fill(0.5) at "d"; param s[out] = fill(2) at "s"; ${body} }`;

describe("a bias", () => {
  const attention = ["q_proj", "k_proj", "v_proj", "o_proj"].map((name) => `model.layers.0.self_attn.${name}.bias`);
  const mlp = ["gate_proj", "up_proj", "down_proj"].map((name) => `model.layers.0.mlp.${name}.bias`);
  const biasless: [string, object, CompileOptions][] = [
    ["of LoRA", { ...lora, lora_bias: true }, {}],
    ["of a method", { target_modules: ["q_proj"] }, { method: method("b' = b + d;") }],
    ["with a scale", { target_modules: ["q_proj"] }, { method: method("b' = s .* b + d;") }],
    ["and a weight", { target_modules: ["q_proj"] }, { method: method("W' = diag(s) @ W; b' = d;") }],
  ];
  const onMlp = [{ target_modules: ["up_proj", "down_proj"] }, { method: method("b' = b + d;") }] as const;

  async function stepped(config: object, from: Model, options: CompileOptions = {}): Promise<Session> {
    const session = await start(config, from, options);
    await session.step(batch, { lr: 0.5 });
    return session;
  }

  it.each(biasless)("%s on a layer whose class has none is refused", async (_what, config, options) => {
    const session = await stepped(config, await tinyModel({ model_type: "mistral", attention_bias: true }), options);
    await expect(session.merge()).rejects.toMatchObject({
      code: "MERGE-BIAS",
      where: "model.layers.0.self_attn.q_proj",
    });
  });

  it.each([
    [{}, ["lm_head"], "lm_head"],
    [{ model_type: "qwen2" }, ["q_proj", "o_proj"], "model.layers.0.self_attn.o_proj"],
    [{ model_type: "mistral", mlp_bias: true }, ["up_proj"], "model.layers.0.mlp.up_proj"],
  ])("is refused where no field of the config gives it", async (fields, target_modules, where) => {
    const session = await start({ ...lora, lora_bias: true, target_modules }, await tinyModel(fields));
    await expect(session.merge()).rejects.toMatchObject({ code: "MERGE-BIAS", where });
  });

  it.each([
    ...biasless.map(([what, config, options]) => [what, config, options, ["attention_bias"], attention] as const),
    ["of a method on the mlp", ...onMlp, ["mlp_bias"], mlp],
    [
      "of both blocks",
      { ...lora, lora_bias: true, target_modules: ["k_proj", "gate_proj"] },
      {},
      ["attention_bias", "mlp_bias"],
      [...attention, ...mlp],
    ],
  ] as const)(
    "%s is written where a field of the config gives the layer one",
    async (_what, config, options, fields, keys) => {
      for (const [dtype, tolerance] of [
        ["F32", 1e-4],
        ["F16", 1e-2],
      ] as const) {
        // What the file holds beside what it reads: no bias of the merged model.
        const plainBase = await tinyModel({}, dtype);
        const stray = fromFloat32(
          Float32Array.from({ length: 4 }, () => 9),
          dtype,
          [4],
        );
        const weights = { "model.layers.0.self_attn.k_proj.bias": stray };
        for (const key of plainBase.weights.keys())
          Object.assign(weights, { [key]: await plainBase.weights.read(key) });
        const session = await stepped(config, await loadModel({ config: plainBase.config, weights }), options);
        const sink = new DiagnosticSink();
        const merged = await session.merge(sink);
        expect(sink.diagnostics.map(({ code, where }) => [code, where])).toEqual(
          fields.map((field) => ["MERGE-BIAS-ADDED", field]),
        );
        expect(merged.config).toMatchObject(Object.fromEntries(fields.map((field) => [field, true])));
        for (const key of keys) {
          expect(merged.weights.info(key)).toMatchObject({ dtype });
          const isAdapted = session.program.adapter!.sites.some((path) => key === `${path}.bias`);
          expect(toFloat32(await merged.weights.read(key)).some((x) => x !== 0)).toBe(isAdapted);
        }
        const { logits } = await session.forward(batch);
        const written = await loadModel(Object.fromEntries(await modelFiles(merged)));
        expect(written.weights.keys()).toEqual(merged.weights.keys());
        for (const one of [merged, written]) expect(largest((await plain(one)).logits, logits)).toBeLessThan(tolerance);
        expect(largest((await plain(plainBase)).logits, logits)).toBeGreaterThan(0.05);
      }
    },
  );

  it("beyond the base's type is refused", async () => {
    const session = await start(onMlp[0], await tinyModel({}, "F16"), onMlp[1]);
    const state = await session.optimizerState();
    await session.restore({ ...state, params: state.params.map(() => 1e6) });
    await expect(modelFiles(await session.merge())).rejects.toMatchObject({ code: "MERGE-NOT-FINITE" });
  });

  it("is written as a file of images names its layers", async () => {
    const config = { ...smallVit, qkv_bias: false };
    const inFile: [string, string][] = [
      ["vit.layers.", "vit.encoder.layer."],
      [".q_proj.", ".attention.query."],
      [".k_proj.", ".attention.key."],
      [".v_proj.", ".attention.value."],
      [".o_proj.", ".output.dense."],
      [".mlp.fc1.", ".intermediate.dense."],
      [".mlp.fc2.", ".output.dense."],
    ];
    const weights = Object.entries(smallWeights(config)).map(([key, tensor]) => [
      inFile.reduce((name, [memory, file]) => name.replace(memory, file), key),
      tensor,
    ]);
    const base = await loadModel({ config, weights: Object.fromEntries(weights) });
    const session = await start({ ...lora, lora_bias: true }, base);
    const images = { pixel_values: Float32Array.from({ length: 16 }, (_x, i) => Math.sin(i)) };
    const { logits } = await session.forward(images);
    const merged = await loadModel(Object.fromEntries(await modelFiles(await session.merge())));
    expect(merged.config.qkv_bias).toBe(true);
    expect(merged.weights.keys()).toContain("vit.encoder.layer.0.attention.attention.query.bias");
    const again = await (await start(null, merged, { mode: "infer" })).forward(images);
    expect(largest(again.logits, logits)).toBeLessThan(1e-4);
  });

  it("is merged where the layer has one, and where it is scaled but absent", async () => {
    const biased = await tinyModel({ attention_bias: true });
    for (const [, config, options] of biasless) {
      const session = await stepped(config, biased, options);
      const { logits } = await session.forward(batch);
      const sink = new DiagnosticSink();
      expect(largest((await plain(await session.merge(sink))).logits, logits)).toBeLessThan(1e-4);
      expect(sink.diagnostics).toEqual([]);
    }
    const scaled = await start({ target_modules: ["q_proj"] }, model, {
      method: method("b' = s .* b; W' = diag(s) @ W;"),
    });
    const { logits } = await scaled.forward(batch);
    const merged = await scaled.merge();
    expect(merged.config).toEqual(model.config);
    expect(largest((await plain(merged)).logits, logits)).toBeLessThan(1e-4);
  });
});

describe("a weight that the base's type cannot hold", () => {
  /** An adapter whose delta is about as large as this. */
  async function grown(from: Model, config: object, factor: number): Promise<Session> {
    const session = await start(config, from);
    const state = await session.optimizerState();
    await session.restore({ ...state, params: state.params.map((x) => x * factor) });
    return session;
  }
  it.each([
    ["F16", lora, 2000],
    ["F16", { ...lora, use_dora: true, target_modules: ["v_proj"] }, 1e6],
    ["BF16", { ...lora, lora_alpha: 1e6 }, 1e17],
  ] as const)("%s is refused before anything is written", async (dtype, config, factor) => {
    const session = await grown(await tinyModel({}, dtype), config, factor);
    const merged = await session.merge();
    const folder = mkdtempSync(join(tmpdir(), "webpeft-merge-"));
    await expect(saveModel(merged, join(folder, "out"))).rejects.toMatchObject({ code: "MERGE-NOT-FINITE" });
    expect(readdirSync(folder)).toEqual([]);
    await expect(start(null, merged, { mode: "infer" })).rejects.toMatchObject({ code: "MERGE-NOT-FINITE" });
  });

  it("is no fault in f32", async () => {
    const merged = await (await grown(model, lora, 2000)).merge();
    expect((await merged.weights.read("model.layers.0.self_attn.q_proj.weight")).dtype).toBe("F32");
  });
});

describe("the gap between merged and adapted", () => {
  it("is judged by what the base's types round to", async () => {
    const models = [model, await tinyModel({}, "F16"), await tinyModel({}, "BF16")];
    const refused = (gap: number) =>
      models.map((one) => {
        try {
          judgeGap({ gap, scale: 10 }, one);
          return false;
        } catch (error) {
          expect(error).toMatchObject({ code: "MERGE-GAP" });
          return true;
        }
      });
    expect(refused(1e-3)).toEqual([false, false, false]);
    expect(refused(0.05)).toEqual([true, false, false]);
    expect(refused(1)).toEqual([true, true, false]);
    expect(refused(4)).toEqual([true, true, true]);
    expect(refused(Number.NaN)).toEqual([true, true, true]);
  });

  it("leaves nothing behind where it is too large", async () => {
    const folder = mkdtempSync(join(tmpdir(), "webpeft-merge-"));
    const check = async (): Promise<void> => judgeGap({ gap: 1, scale: 1 }, model);
    await expect(saveModel(model, join(folder, "out"), { check })).rejects.toMatchObject({ code: "MERGE-GAP" });
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("the files of a merged model", () => {
  it("are there as bytes, and load as what saveModel writes", async () => {
    const session = await start(lora);
    const merged = await session.merge();
    const files = await modelFiles(merged);
    expect([...files.keys()]).toEqual(["config.json", "model.safetensors"]);
    const { logits } = await session.forward(batch);
    const loaded = await loadModel(Object.fromEntries(files));
    expect(largest((await plain(loaded)).logits, logits)).toBeLessThan(1e-5);
    const folder = join(mkdtempSync(join(tmpdir(), "webpeft-merge-")), "out");
    await saveModel(merged, folder);
    for (const [name, bytes] of files) expect(new Uint8Array(readFileSync(join(folder, name)))).toEqual(bytes);
    await expect(saveModel(merged, folder, { overwrit: true } as object)).rejects.toMatchObject({
      code: "FILE-OPTION",
    });
  });
});

describe("adapters that read the batch, beside others", () => {
  const poly = (n_tasks: number) => ({
    ...{ peft_type: "POLY", r: 2, n_tasks, n_skills: 2, n_splits: 1, target_modules: ["q_proj", "v_proj"] },
    init_weights: false,
  });
  const filesOf = async (config: object) => Object.fromEntries(await (await start(config)).files());
  const oft = {
    peft_type: "OFT",
    oft_block_size: 4,
    target_modules: ["q_proj"],
    init_weights: false,
    use_cayley_neumann: false,
  };

  it("run and merge in any order, for a task that all have", async () => {
    const session = await start(lora, model, { mode: "infer" });
    for (const [name, config] of [
      ["two", poly(2)],
      ["three", poly(3)],
      ["oft", oft],
    ] as const)
      await session.load(name, await filesOf(config));
    for (const names of [
      ["default", "two"],
      ["two", "default"],
      ["three", "two"],
      ["two", "oft", "default"],
    ]) {
      await session.use(names);
      const seen: number[][] = [];
      for (const task of [0, 1]) {
        const { logits } = await session.forward({ ...batch, task_ids: [task] });
        const merged = await session.merge(undefined, { task });
        expect(largest((await plain(merged)).logits, logits)).toBeLessThan(1e-4);
        seen.push([...logits]);
      }
      expect(seen[0]).not.toEqual(seen[1]);
      await expect(session.forward({ ...batch, task_ids: [2] })).rejects.toMatchObject({ code: "DATA-TOKEN-RANGE" });
      await expect(session.forward(batch)).rejects.toMatchObject({ code: "DATA-BATCH", where: "task_ids" });
      await expect(session.merge()).rejects.toMatchObject({ code: "MERGE-OPTION" });
    }
    // Adapters without tasks take a batch that has some, as long as one of the session reads them.
    await session.use("default");
    expect((await session.forward({ ...batch, task_ids: [1] })).logits).toEqual((await session.forward(batch)).logits);
  });
});
