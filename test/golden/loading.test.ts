/** What files may hold and lack: places and projections that are stored or rebuilt, the largest logits only, ranks that were reduced. */
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { type CompileOptions, compile } from "../../src/compile/index.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { type AdapterFiles, readAdapter } from "../../src/runtime/files/adapter.ts";
import { withFormerExperts } from "../../src/runtime/files/former-experts.ts";
import { openSafetensors } from "../../src/runtime/files/safetensors.ts";
import { bytesSource } from "../../src/runtime/files/source.ts";
import { type HostTensor, hostTensor, toFloat32, toInt32 } from "../../src/runtime/files/tensor.ts";
import type { Session } from "../../src/runtime/session/session.ts";
import { difference } from "../runtime/executor-samples.ts";
import { baseModel, type GoldenCase, loadCase } from "./helpers.ts";

const executor = wasmExecutor();

type Config = Readonly<Record<string, unknown>>;
const options = { batch: 2, length: 8, mask: true, sampling: false, strict: false };

const batchOf = ({ inputs }: GoldenCase) => ({
  input_ids: inputs.input_ids!,
  labels: inputs.labels!,
  attention_mask: inputs.attention_mask!,
});

async function start(goldenCase: GoldenCase, adapter?: AdapterFiles, config: Config = goldenCase.adapter.config) {
  const program = await compile(goldenCase.model, config, { ...options, loaded: adapter !== undefined });
  return program.start({ device: executor, ...(adapter === undefined ? {} : { adapter }) });
}

async function logitsOf(goldenCase: GoldenCase, adapter: AdapterFiles): Promise<Float32Array> {
  const session = await start(goldenCase, adapter);
  try {
    return (await session.forward(batchOf(goldenCase))).logits;
  } finally {
    session.dispose();
  }
}

/** The adapter with tensors replaced, or left out where `change` answers with nothing. */
async function changed(
  { adapter }: GoldenCase,
  change: (key: string, tensor: HostTensor) => HostTensor | undefined,
): Promise<AdapterFiles> {
  const kept = new Map<string, HostTensor>();
  for (const key of adapter.tensors.tensors.keys()) {
    const tensor = change(key, await adapter.tensors.read(key));
    if (tensor !== undefined) kept.set(key, tensor);
  }
  const info = [...kept].map(([key, tensor]) => [key, { ...adapter.tensors.tensors.get(key)!, dtype: tensor.dtype }]);
  const tensors = { ...adapter.tensors, tensors: new Map(info as never), read: async (key: string) => kept.get(key)! };
  return { ...adapter, tensors } as AdapterFiles;
}

async function saved(session: Session): Promise<Map<string, HostTensor>> {
  const file = await openSafetensors(bytesSource("saved", (await session.files()).get("adapter_model.safetensors")!));
  return new Map(await Promise.all([...file.tensors.keys()].map(async (key) => [key, await file.read(key)] as const)));
}

describe("SHiRA", () => {
  const isIndices = (key: string): boolean => key.endsWith("shira_indices");

  it("rebuilds places that a file lacks, and reads those that Windows wrote as floats", async () => {
    const goldenCase = await loadCase("llama-shira");
    const lacking = await changed(goldenCase, (key, tensor) => (isIndices(key) ? undefined : tensor));
    const floats = await changed(goldenCase, (key, tensor) =>
      isIndices(key) ? hostTensor("F32", tensor.shape, Float32Array.from(toInt32(tensor))) : tensor,
    );
    for (const adapter of [lacking, floats])
      expect(difference(await logitsOf(goldenCase, adapter), goldenCase.expected.logits!)).toBeLessThan(1e-5);
  });

  it.each([
    ["outside the weight", (i: number) => (i === 0 ? 99 : undefined)],
    ["out of order", (i: number, all: Int32Array) => (i < all.length / 2 ? all[all.length / 2 - 1 - i] : undefined)],
    ["there twice", (i: number, all: Int32Array) => (i % (all.length / 2) === 1 ? all[i - 1] : undefined)],
  ])("refuses places %s", async (_what, wrong) => {
    const goldenCase = await loadCase("llama-shira");
    const adapter = await changed(goldenCase, (key, tensor) => {
      if (!isIndices(key)) return tensor;
      const all = toInt32(tensor);
      return hostTensor(
        "I32",
        tensor.shape,
        all.map((n, i) => wrong(i, all) ?? n),
      );
    });
    await expect(start(goldenCase, adapter)).rejects.toMatchObject({ code: "FILE-ADAPTER-PLACES" });
  });

  it("takes the places of the file before those of the seed", async () => {
    const goldenCase = await loadCase("llama-shira");
    const places = await changed(goldenCase, (key, tensor) => {
      if (!isIndices(key)) return tensor;
      const count = tensor.shape[1]!;
      const width = key.includes("down_proj") ? 48 : 32;
      const flat = Int32Array.from({ length: 2 * count }, (_u, i) =>
        i < count ? Math.floor(i / width) : (i - count) % width,
      );
      return hostTensor("I32", tensor.shape, flat);
    });
    const session = await start(goldenCase, places);
    const merged = await session.merge();
    session.dispose();
    const site = "model.layers.0.self_attn.q_proj";
    const weights = toFloat32(await places.tensors.read(`base_model.model.${site}.shira_weight`));
    const [after, before] = await Promise.all(
      [merged, goldenCase.model].map(async (model) => toFloat32(await model.weights.read(`${site}.weight`))),
    );
    after!.forEach((value, i) => {
      expect(Math.abs(value - before![i]! - (weights[i] ?? 0))).toBeLessThan(1e-6);
    });
    expect(difference(await logitsOf(goldenCase, places), goldenCase.expected.logits!)).toBeGreaterThan(1e-3);
  });
});

describe("RandLoRA", () => {
  it.each([
    ["the copies of the layers", /^base_model\.randlora_/],
    [
      "one layer's copies",
      /^base_model\.randlora_|layers\.[01]\.(mlp|self_attn\.v).*randlora_[AB]|layers\.1.*randlora_[AB]/,
    ],
    ["no projections", /randlora_[AB]$/],
  ])("is the same with %s", async (_what, left) => {
    const goldenCase = await loadCase("llama-randlora");
    const adapter = await changed(goldenCase, (key, tensor) => (left.test(key) ? undefined : tensor));
    expect(difference(await logitsOf(goldenCase, adapter), goldenCase.expected.logits!)).toBeLessThan(1e-5);
  });

  it("takes projections of the file before those of the seed", async () => {
    const goldenCase = await loadCase("llama-randlora");
    const adapter = await changed(goldenCase, (key, tensor) =>
      key.endsWith("randlora_A")
        ? hostTensor(
            "F32",
            tensor.shape,
            toFloat32(tensor).map((x) => 2 * x),
          )
        : tensor,
    );
    expect(difference(await logitsOf(goldenCase, adapter), goldenCase.expected.logits!)).toBeGreaterThan(1e-3);
  });
});

describe("VB-LoRA", () => {
  it("refuses vectors that the bank does not have", async () => {
    const goldenCase = await loadCase("llama-vblora-topk");
    const adapter = await changed(goldenCase, (key, tensor) =>
      key.endsWith("topk_indices") ? { ...tensor, bytes: tensor.bytes.map(() => 200) } : tensor,
    );
    await expect(start(goldenCase, adapter)).rejects.toMatchObject({ code: "FILE-ADAPTER-PLACES" });
  });

  it("saves the largest logits so that they give the same numbers, and cannot train on them", async () => {
    const goldenCase = await loadCase("llama-vblora");
    const config = { ...goldenCase.adapter.config, save_only_topk_weights: true, topk: 3 };
    const trained = await start(goldenCase, undefined, config);
    for (let i = 0; i < 3; i++) await trained.step(batchOf(goldenCase), { lr: 0.1 });
    const { logits } = await trained.forward(batchOf(goldenCase));
    const files = await trained.files();
    const tensors = await openSafetensors(bytesSource("saved", files.get("adapter_model.safetensors")!));
    trained.dispose();
    const indices = [...tensors.tensors].find(([key]) => key.endsWith("q_proj.vblora_logits_A_topk_indices"))!;
    expect(indices[1]).toMatchObject({ dtype: "U8", shape: [2, 4, 3] });
    const again = await start(goldenCase, { ...goldenCase.adapter, config, tensors } as AdapterFiles, config);
    expect(difference((await again.forward(batchOf(goldenCase))).logits, logits)).toBeLessThan(1e-5);
    await expect(again.step(batchOf(goldenCase))).rejects.toMatchObject({ code: "TRAIN-TOP-K" });
    const twice = await saved(again);
    again.dispose();
    for (const [key] of tensors.tensors)
      expect([...twice.get(key)!.bytes]).toEqual([...(await tensors.read(key)).bytes]);
  });
});

describe("AdaLoRA", () => {
  const config = { peft_type: "ADALORA", init_r: 4, total_step: 9, target_modules: ["q_proj"], orth_reg_weight: 0.5 };

  async function stepped(more: CompileOptions, batches: (whole: ReturnType<typeof batchOf>) => unknown) {
    const goldenCase = await loadCase("llama-adalora");
    const program = await compile(await baseModel("llama"), config, { ...options, ...more });
    const session = await program.start({ device: executor, seed: 5 });
    const { loss } = await session.step(batches(batchOf(goldenCase)) as never, { lr: 1e-2 });
    const parameters = await session.parameters();
    session.dispose();
    return { loss, parameters };
  }

  it("adds its term once, however a batch is cut", async () => {
    const whole = await stepped({}, (batch) => batch);
    const cut = await stepped({ batch: 1, accumulate: true }, (batch) =>
      [0, 8].map((from) =>
        Object.fromEntries(Object.entries(batch).map(([key, values]) => [key, values.slice(from, from + 8)])),
      ),
    );
    expect(cut.loss).toBeCloseTo(whole.loss, 5);
    for (const [key, values] of whole.parameters)
      if (!key.endsWith("lora_E")) expect(difference(cut.parameters.get(key)!, values), key).toBeLessThan(1e-3);
  });

  it("says in every program that trains that ranks stay as they are, unless they have been reduced", async () => {
    const model = await baseModel("llama");
    const warned = async (more: Config, changed: CompileOptions): Promise<boolean> => {
      const { diagnostics } = await compile(model, { ...config, ...more }, { ...options, ...changed });
      return diagnostics.some(({ message }) => message.startsWith("Ranks are not reduced"));
    };
    const rank_pattern = { "model.layers.0.self_attn.q_proj.lora_E": [true, false, true, true] };
    expect(await warned({}, { sampling: false })).toBe(true);
    expect(await warned({}, { loaded: true })).toBe(true);
    expect(await warned({}, { mode: "infer" })).toBe(false);
    expect(await warned({ rank_pattern }, { loaded: true })).toBe(false);
  });

  it("keeps the components that a pattern names", async () => {
    const rank_pattern = { "model.layers.0.self_attn.q_proj.lora_E": [true, false, true, true] };
    const program = await compile(await baseModel("llama"), { ...config, rank_pattern }, options);
    const shapes = Object.fromEntries(program.adapter!.tensors.map(({ key, shape }) => [key.slice(23), shape]));
    expect(shapes).toMatchObject({
      "layers.0.self_attn.q_proj.lora_E": [3, 1],
      "layers.0.self_attn.q_proj.lora_A": [3, 32],
      "layers.1.self_attn.q_proj.lora_B": [32, 4],
    });
  });
});

describe("a LoRA whose experts were modules of their own", () => {
  const folder = "test/fixtures/golden/former/mixtral-lora";
  const tensorsOf = async (name: string) =>
    openSafetensors(bytesSource(name, await readFile(`${folder}/${name}.safetensors`)));

  it("has PEFT's logits, and is saved with one tensor for all experts", async () => {
    const [expected, inputs] = await Promise.all([tensorsOf("expected"), tensorsOf("inputs")]);
    const batch = Object.fromEntries(
      await Promise.all(
        [...inputs.tensors.keys()].map(async (key) => [key, toInt32(await inputs.read(key), key)] as const),
      ),
    );
    const adapter = await readAdapter(folder);
    const program = await compile(await baseModel("mixtral"), adapter.config, { ...options, loaded: true });
    const session = await program.start({ device: executor, adapter });
    const { logits } = await session.forward(batch);
    expect(difference(logits, toFloat32(await expected.read("logits")))).toBeLessThan(1e-5);
    const key = "base_model.model.model.layers.1.mlp.experts.base_layer.lora_B.weight";
    expect((await saved(session)).get(key)!.shape).toEqual([40, 16]);
    session.dispose();
  });

  it("lacks no expert", async () => {
    const file = await tensorsOf("adapter_model");
    const without = (part: string) => new Map([...file.tensors].filter(([key]) => !key.includes(part)));
    for (const part of [".experts.2.w1.", ".1.block_sparse_moe.experts.0.w2.lora_A"])
      expect(() => withFormerExperts({ ...file, tensors: without(part) })).toThrow(
        expect.objectContaining({ code: "FILE-ADAPTER-MISSING" }),
      );
  });
});
