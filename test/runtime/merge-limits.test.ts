/** What merging refuses: biases that the model cannot hold, weights that its type cannot, results that are not the adapter's. */
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { judgeGap } from "../../src/cli/merge.ts";
import { compile } from "../../src/compile.ts";
import type { CompileOptions } from "../../src/compile-options.ts";
import { loadModel, type Model } from "../../src/runtime/files/model.ts";
import { modelFiles, saveModel } from "../../src/runtime/files/save-model.ts";
import type { Session } from "../../src/runtime/session.ts";
import { tinyModel } from "./tiny-model.ts";

const model = await tinyModel();
const ids = [3, 5, 7, 1];
const batch = { input_ids: ids, labels: ids };
const size = { batch: 1, length: 4 };
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
  const biasless: [string, object, CompileOptions][] = [
    ["of LoRA", { ...lora, lora_bias: true }, {}],
    ["of a method", { target_modules: ["q_proj"] }, { method: method("b' = b + d;") }],
    ["with a scale", { target_modules: ["q_proj"] }, { method: method("b' = s .* b + d;") }],
    ["and a weight", { target_modules: ["q_proj"] }, { method: method("W' = diag(s) @ W; b' = d;") }],
  ];
  it.each(biasless)("%s on a layer without one is refused", async (_what, config, options) => {
    const session = await start(config, model, options);
    await session.step(batch, { lr: 0.5 });
    await expect(session.merge()).rejects.toMatchObject({
      code: "MERGE-BIAS",
      where: "model.layers.0.self_attn.q_proj",
    });
  });

  it("is merged where the layer has one, and where it is scaled but absent", async () => {
    const biased = await tinyModel({ attention_bias: true });
    for (const [config, options, from] of biasless.map(([, ...rest]) => [...rest, biased] as const)) {
      const session = await start(config, from, options);
      await session.step(batch, { lr: 0.5 });
      const { logits } = await session.forward(batch);
      expect(largest((await plain(await session.merge())).logits, logits)).toBeLessThan(1e-4);
    }
    const scaled = await start({ target_modules: ["q_proj"] }, model, {
      method: method("b' = s .* b; W' = diag(s) @ W;"),
    });
    const { logits } = await scaled.forward(batch);
    expect(largest((await plain(await scaled.merge())).logits, logits)).toBeLessThan(1e-4);
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
