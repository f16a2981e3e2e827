/** What an adapter's file holds is used or refused: ranks of 0, how training began, constants, numbers that are none. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type CompileOptions, compile, readAdapter, type Session } from "../../src/index.ts";
import type { FileRecord } from "../../src/runtime/files/folder.ts";
import { encodeSafetensors, openSafetensors } from "../../src/runtime/files/safetensors.ts";
import { bytesSource } from "../../src/runtime/files/source.ts";
import { fromFloat32, type HostTensor, hostTensor, toFloat32 } from "../../src/runtime/files/tensor.ts";
import { failure } from "../files/helpers.ts";
import { baseModel } from "../golden/helpers.ts";

const model = await baseModel("llama");
const ids = Int32Array.from({ length: 8 }, (_unused, i) => (i * 5 + 3) % 64);
const batch = { input_ids: ids, labels: ids };
const folder = (name: string): string => join("test/fixtures/golden/cases", name);

interface Parts {
  config: Record<string, unknown>;
  tensors: Map<string, HostTensor>;
}

async function partsOf(name: string): Promise<Parts> {
  const file = await openSafetensors(bytesSource(name, readFileSync(join(folder(name), "adapter_model.safetensors"))));
  const tensors = new Map<string, HostTensor>();
  for (const key of file.tensors.keys()) tensors.set(key, await file.read(key));
  return { config: JSON.parse(readFileSync(join(folder(name), "adapter_config.json"), "utf8")), tensors };
}

const filesOf = ({ config, tensors }: Parts): FileRecord => ({
  "adapter_config.json": JSON.stringify(config),
  "adapter_model.safetensors": encodeSafetensors(tensors),
});

async function started(parts: Parts, options: CompileOptions = {}): Promise<Session> {
  const adapter = await readAdapter(filesOf(parts));
  const program = await compile(model, options.method === undefined ? adapter : adapter.config, {
    ...{ batch: 1, length: 8, loaded: true, mode: "infer" as const },
    ...options,
  });
  return program.start({ device: "cpu", adapter });
}

const lora = await partsOf("llama-lora");

const lossOf = async (parts: Parts, options?: CompileOptions): Promise<number> =>
  (await (await started(parts, options)).forward(batch)).loss!;

describe("AdaLoRA modules that kept no component", () => {
  /** Every module of the case keeps its first component alone; with `last` nothing of the last one is left, else it is zero. */
  async function cut(last: boolean): Promise<Parts> {
    const { config, tensors } = await partsOf("llama-adalora");
    const ends = [...tensors.keys()].filter((key) => key.endsWith(".lora_E")).sort();
    const pattern: Record<string, boolean[]> = {};
    for (const key of ends) {
      const [path, rank] = [key.replace(/\.lora_E$/, ""), tensors.get(key)!.shape[0]!];
      const kept = last && key === ends.at(-1) ? 0 : 1;
      pattern[key.replace("base_model.model.", "")] = Array.from({ length: rank }, (_unused, i) => i < kept);
      const [E, A, B] = ["lora_E", "lora_A", "lora_B"].map((name) => tensors.get(`${path}.${name}`)!);
      const value = key === ends.at(-1) ? new Float32Array(kept) : toFloat32(E!).slice(0, kept);
      tensors.set(key, fromFloat32(value, "F32", [kept, 1]));
      const [wide, high] = [A!.shape[1]!, B!.shape[0]!];
      tensors.set(`${path}.lora_A`, fromFloat32(toFloat32(A!).slice(0, kept * wide), "F32", [kept, wide]));
      const column = Float32Array.from({ length: high * kept }, (_unused, i) => toFloat32(B!)[i * rank]!);
      tensors.set(`${path}.lora_B`, fromFloat32(column, "F32", [high, kept]));
    }
    return { config: { ...config, rank_pattern: pattern, orth_reg_weight: 0 }, tensors };
  }

  it("add nothing, train on beside the others, and are written as they were", async () => {
    const parts = await cut(true);
    const session = await started(parts, { mode: "train", strict: false });
    const { loss } = await session.forward(batch);
    expect(loss).toBeCloseTo(await lossOf(await cut(false)), 6);
    const files = await session.files();
    expect(Buffer.compare(files.get("adapter_model.safetensors")!, encodeSafetensors(parts.tensors))).toBe(0);
    const { gradients } = await session.gradients(batch);
    expect(Object.values(gradients).every((gradient) => gradient.length > 0)).toBe(true);
    await session.step(batch, { lr: 1e-2 });
    expect((await session.forward(batch)).loss).toBeLessThan(loss!);
    const saved = await session.adapterTensors();
    expect([...saved.values()].filter(({ shape }) => shape.includes(0))).toHaveLength(3);
    const merged = await (await compile(await session.merge(), null, { batch: 1, length: 8, mode: "infer" })).start({
      device: "cpu",
    });
    expect((await merged.forward(batch)).loss).toBeCloseTo((await session.forward(batch)).loss!, 5);
  });

  it("everywhere: the adapter is the base, and cannot be trained", async () => {
    const { config } = await cut(true);
    const pattern = config.rank_pattern as Record<string, boolean[]>;
    const none = Object.fromEntries(Object.entries(pattern).map(([key, list]) => [key, list.map(() => false)]));
    const program = await compile(model, { ...config, rank_pattern: none }, { batch: 1, length: 8 });
    const session = await program.start({ device: "cpu" });
    const base = await (await compile(model, null, { batch: 1, length: 8, mode: "infer" })).start({ device: "cpu" });
    expect((await session.forward(batch)).loss).toBe((await base.forward(batch)).loss);
    expect((await failure(() => session.step(batch))).code).toBe("TRAIN-NOTHING");
  });
});

describe("how the training of a LoRA began", () => {
  it.each(["orthogonal", "eva", "mica", "lora_ga"])("%s: the file is a plain LoRA", async (init) => {
    const parts = await partsOf("llama-lora");
    const config = {
      ...parts.config,
      init_lora_weights: init,
      eva_config: { rho: 2 },
      lora_ga_config: { direction: "ArB2r" },
    };
    expect(await lossOf({ ...parts, config }, { strict: true })).toBe(await lossOf(parts));
    const fresh = await failure(() => compile(model, config, { batch: 1, length: 8 }));
    expect(fresh).toMatchObject({ code: "METHOD-CONSTRAINT", message: expect.stringContaining("needs data") });
  });

  it.each(["pissa", "pissa_niter_4", "olora", "corda", "loftq"])("%s changes the base and is refused", async (init) => {
    const parts = await partsOf("llama-lora");
    const config = { ...parts.config, init_lora_weights: init, corda_config: { corda_method: "ipm" } };
    const error = await failure(() => lossOf({ ...parts, config }));
    expect(error).toMatchObject({ code: "METHOD-CONSTRAINT", message: expect.stringContaining("base weight") });
  });

  it("B of MiCA does not train", async () => {
    const parts = await partsOf("llama-lora");
    const session = await started(
      { ...parts, config: { ...parts.config, init_lora_weights: "mica" } },
      { mode: "train" },
    );
    const { gradients } = await session.gradients(batch);
    for (const [key, gradient] of Object.entries(gradients))
      expect(gradient.some((x) => x !== 0)).toBe(!key.endsWith("lora_B.weight"));
  });
});

describe("constants of a file", () => {
  const scatter = (formula: string): string => `method scatter on linear {
    config init_weights: bool = true;
    let n = in * out;
    stream rng = torch_generator(0);
    const places[n] = torch_randperm(rng, n, n) at "places";
    param v[n] = uniform(-1, 1) at "values";
    let p = places;
    W' = W + matrix(${formula});
  }`;
  const asHost = scatter("grid(quotient(p, in), remainder(p, in), v, out, in)".replace("sorted(p)", "p"));
  const asTensor = scatter("reshape(gather(v, p), [out, in])");
  const config = { peft_type: "SCATTER", target_modules: ["layers.0.self_attn.q_proj"] };
  const key = "base_model.model.model.layers.0.self_attn.q_proj.places";

  /** A fresh adapter's file, and the same with its places the other way round. */
  async function twoFiles(method: string): Promise<readonly [Parts, Parts]> {
    const fresh = await (await compile(model, config, { batch: 1, length: 8, method })).start({ device: "cpu" });
    const tensors = await fresh.adapterTensors();
    const data = Int32Array.from(toFloat32(tensors.get(key)!)).reverse();
    const turned = new Map([...tensors, [key, hostTensor("I32", [data.length], data)]]);
    return [
      { config, tensors: new Map(tensors) },
      { config, tensors: turned },
    ];
  }

  it("that host builtins read must be those of the formula", async () => {
    const [same, turned] = await twoFiles(asHost);
    expect(await lossOf(same, { method: asHost })).toBeGreaterThan(0);
    const error = await failure(() => lossOf(turned, { method: asHost }));
    expect(error).toMatchObject({ code: "FILE-ADAPTER-CONSTANT", where: `${key}[0]` });
    const initial = { [key]: toFloat32(turned.tensors.get(key)!) };
    const program = await compile(model, config, { batch: 1, length: 8, method: asHost, loaded: true });
    expect((await failure(() => program.start({ device: "cpu", initial }))).code).toBe("FILE-ADAPTER-CONSTANT");
  });

  it("that are read as tensors, through a let too, are the file's", async () => {
    const [same, turned] = await twoFiles(asTensor);
    const [first, second] = [await lossOf(same, { method: asTensor }), await lossOf(turned, { method: asTensor })];
    expect(Math.abs(first - second)).toBeGreaterThan(1e-3);
  });
});

describe("numbers that are none", () => {
  const [key] = [...lora.tensors.keys()] as [string];
  const withTensor = (tensor: HostTensor): Parts => ({ ...lora, tensors: new Map([...lora.tensors, [key, tensor]]) });
  const { shape } = lora.tensors.get(key)!;
  const size = shape.reduce((p, n) => p * n, 1);

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "%s is refused by its tensor",
    async (x) => {
      const error = await failure(() =>
        lossOf(withTensor(fromFloat32(new Float32Array(size).fill(x, 3, 4), "F32", shape))),
      );
      expect(error).toMatchObject({ code: "DATA-TENSOR-NOT-FINITE", got: `${x} at index 3` });
      expect(error.where).toContain(key);
    },
  );

  it.each([
    ["I64", new BigInt64Array(size)],
    ["I8", new Int8Array(size)],
    ["BOOL", new Uint8Array(size)],
  ] as const)("%s where PEFT has floats is refused by its tensor", async (dtype, data) => {
    const error = await failure(() => lossOf(withTensor(hostTensor(dtype, shape, data))));
    expect(error).toMatchObject({ code: "FILE-ADAPTER-DTYPE", where: key, got: dtype });
  });

  it.each(["F16", "BF16", "F64"] as const)("%s is read", async (dtype) => {
    const tensors = new Map([...lora.tensors].map(([name, t]) => [name, fromFloat32(toFloat32(t), dtype, t.shape)]));
    expect(await lossOf({ ...lora, tensors })).toBeCloseTo(await lossOf(lora), 2);
  });
});

describe("results that are not finite", () => {
  it("are told by their first operation, and never given", async () => {
    const huge = new Map(lora.tensors);
    for (const [key, { shape }] of lora.tensors)
      huge.set(key, fromFloat32(new Float32Array(shape.reduce((p, n) => p * n, 1)).fill(1e38), "F32", shape));
    const session = await started({ ...lora, tensors: huge }, { mode: "train" });
    const path = "model.layers.0.self_attn.q_proj";
    for (const call of [() => session.forward(batch), () => session.gradients(batch)])
      expect(await failure(call)).toMatchObject({ code: "RESULT-NOT-FINITE", where: path });
  });

  it("HRA's Gram-Schmidt is finite where columns are equal, merged and in training too", async () => {
    const { config, tensors } = await partsOf("llama-hra-gs");
    for (const [key, { shape }] of tensors) {
      const u = toFloat32(tensors.get(key)!).map((x, i, all) => ((i % shape[1]!) % 2 === 0 ? x : all[i - 1]!));
      tensors.set(key, fromFloat32(u, "F32", shape));
    }
    const session = await started({ config, tensors }, { mode: "train" });
    const { logits } = await session.forward(batch);
    const plain = await compile(await session.merge(), null, { batch: 1, length: 8, mode: "infer" });
    const merged = (await (await plain.start({ device: "cpu" })).forward(batch)).logits;
    expect(Math.max(...logits.map((x, i) => Math.abs(x - merged[i]!)))).toBeLessThan(1e-4);
    const half = new Map(
      [...tensors].map(([key, tensor]) => {
        const [n, r] = tensor.shape as [number, number];
        const odd = toFloat32(tensor).filter((_x, i) => (i % r) % 2 === 0);
        return [key, fromFloat32(odd, "F32", [n, Math.ceil(r / 2)])];
      }),
    );
    const alone = await started({ config: { ...config, r: Math.ceil((config.r as number) / 2) }, tensors: half });
    const without = (await alone.forward(batch)).logits;
    expect(Math.max(...logits.map((x, i) => Math.abs(x - without[i]!)))).toBeLessThan(1e-3);
    await session.step(batch, { lr: 1e-2 });
    expect(Number.isFinite((await session.step(batch, { lr: 1e-2 })).loss)).toBe(true);
  });
});
