/** Encoders of prompts: the file beside the adapter's, what happens without it, and prompts that begin as tokens. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { referenceExecutor } from "../../src/runtime/executors/reference.ts";
import { type AdapterFiles, readAdapter } from "../../src/runtime/files/adapter.ts";
import { toFloat32 } from "../../src/runtime/files/tensor.ts";
import type { SessionBatch } from "../../src/runtime/session/session.ts";
import { type GoldenCase, loadCase } from "../golden/helpers.ts";
import { difference } from "./executor-samples.ts";

const options = { batch: 2, length: 8, mask: true, sampling: false };
let lstm: GoldenCase;
let mlp: GoldenCase;
let projection: GoldenCase;
beforeAll(async () => {
  [lstm, mlp, projection] = (await Promise.all(
    ["llama-p-tuning-lstm", "llama-p-tuning", "llama-prefix-tuning-projection"].map(loadCase),
  )) as [GoldenCase, GoldenCase, GoldenCase];
});

async function start(golden: GoldenCase, adapter: AdapterFiles, warnings: string[] = []) {
  const encoder = adapter.encoder !== undefined;
  const program = await compile(golden.model, adapter.config, { ...options, loaded: true, encoder });
  const sink = { warn: (code: string) => warnings.push(code), note: () => undefined };
  return program.start({ device: referenceExecutor(), adapter, sink: sink as never });
}

const batchOf = ({ inputs }: GoldenCase) => inputs as SessionBatch;
const withoutEncoder = ({ encoder: _encoder, ...adapter }: AdapterFiles): AdapterFiles => adapter;

describe("an adapter whose encoder is gone", () => {
  it.each(["llama-p-tuning", "llama-p-tuning-lstm", "llama-prefix-tuning-projection"])(
    "%s computes the same, is saved as it was, and is not trained",
    async (name) => {
      const golden = await loadCase(name);
      const session = await start(golden, withoutEncoder(golden.adapter));
      const { logits } = await session.forward(batchOf(golden));
      expect(difference(logits, golden.expected.logits!)).toBeLessThan(1e-4);
      expect([...(await session.files()).keys()]).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
      const refusal = { code: "TRAIN-ENCODER", where: "encoder.safetensors" };
      await expect(session.step(batchOf(golden))).rejects.toMatchObject(refusal);
      await expect(session.gradients(batchOf(golden))).rejects.toMatchObject(refusal);
    },
  );

  it("is refused by a program that trains it", async () => {
    const program = await compile(mlp.model, mlp.adapter.config, { ...options, loaded: true });
    const begun = program.start({ device: referenceExecutor(), adapter: withoutEncoder(mlp.adapter) });
    await expect(begun).rejects.toMatchObject({ code: "FILE-ENCODER-MISSING" });
  });
});

describe("a trained encoder", () => {
  it("is saved in a folder with what it gives, and goes on from there", async () => {
    const folder = join(mkdtempSync(join(tmpdir(), "encoder-")), "out");
    try {
      const session = await start(lstm, lstm.adapter);
      for (let i = 0; i < 2; i++) await session.step(batchOf(lstm), { lr: 1e-2 });
      const { logits } = await session.forward(batchOf(lstm));
      await session.save(folder);
      expect(readdirSync(folder)).toHaveLength(3);
      const read = await readAdapter(folder);
      for (const adapter of [read, withoutEncoder(read)]) {
        const again = await start(lstm, adapter);
        expect(difference((await again.forward(batchOf(lstm))).logits, logits)).toBeLessThan(1e-5);
      }
      expect(difference(logits, lstm.expected.logits!)).toBeGreaterThan(1e-3);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("counts where the file holds the output of another, with a warning", async () => {
    const { read, tensors, metadata } = mlp.adapter.tensors;
    const twice = async (key: string) => {
      const tensor = await read(key);
      const numbers = toFloat32(tensor).map((x) => 2 * x);
      return { ...tensor, bytes: new Uint8Array(numbers.buffer) };
    };
    const warnings: string[] = [];
    const session = await start(
      mlp,
      { ...mlp.adapter, tensors: { tensors, metadata, read: twice } as never },
      warnings,
    );
    expect(warnings).toEqual(["FILE-ENCODER-OTHER"]);
    expect(difference((await session.forward(batchOf(mlp))).logits, mlp.expected.logits!)).toBeLessThan(1e-4);
    expect(toFloat32((await session.adapterTensors()).get("prompt_embeddings")!)[0]).toBeCloseTo(
      toFloat32(await read("prompt_embeddings"))[0]!,
      5,
    );
  });

  it("is loaded beside others, each with its own file", async () => {
    const session = await start(mlp, mlp.adapter);
    await session.load("projected", projection.adapter);
    await session.load("stored", withoutEncoder(projection.adapter));
    for (const name of ["projected", "stored"]) {
      await session.use(name);
      const { logits } = await session.forward(batchOf(projection));
      expect(difference(logits, projection.expected.logits!)).toBeLessThan(1e-4);
    }
  });

  it("drops entries between the layers of an LSTM in training only", async () => {
    const config = { ...lstm.adapter.config, encoder_dropout: 0.5 };
    const losses = [];
    for (const sampling of [true, false]) {
      const program = await compile(lstm.model, config, { ...options, sampling, loaded: true });
      const session = await program.start({ device: referenceExecutor(), adapter: { ...lstm.adapter, config } });
      losses.push((await session.step(batchOf(lstm))).loss);
      expect((await session.forward(batchOf(lstm))).logits).toHaveLength(lstm.expected.logits!.length);
    }
    expect(losses[1]).toBeCloseTo(lstm.expected.loss![0]!, 4);
    expect(Math.abs(losses[0]! - losses[1]!)).toBeGreaterThan(1e-5);
  });
});

describe("a fresh prompt of tokens", () => {
  const fresh = async (config: object, more: object = {}, seed = 3) => {
    const prompt = { peft_type: "PROMPT_TUNING", task_type: "CAUSAL_LM", num_virtual_tokens: 5, ...config };
    const program = await compile(mlp.model, prompt, { ...options, ...more });
    const session = await program.start({ device: referenceExecutor(), seed });
    return (await session.parameters()).get("prompt_embeddings")!;
  };
  const table = async () => toFloat32(await mlp.model.weights.read("model.embed_tokens.weight"));
  const rows = async (tokens: readonly number[]): Promise<number[]> => {
    const all = await table();
    return tokens.flatMap((token) => [...all.subarray(32 * token, 32 * token + 32)]);
  };
  const text = { prompt_tuning_init: "TEXT", prompt_tuning_init_text: "a text", tokenizer_name_or_path: "a model" };

  it("repeats the tokens of a text, or cuts them", async () => {
    expect([...(await fresh(text, { initialTokens: [7, 2, 9] }))]).toEqual(await rows([7, 2, 9, 7, 2]));
    expect([...(await fresh(text, { initialTokens: [1, 2, 3, 4, 5, 6] }))]).toEqual(await rows([1, 2, 3, 4, 5]));
  });

  it("is refused without tokens, and with tokens that the model does not have", async () => {
    await expect(fresh(text)).rejects.toMatchObject({ code: "METHOD-CONSTRAINT" });
    await expect(fresh(text, { initialTokens: [64] })).rejects.toMatchObject({ code: "METHOD-ARGUMENT" });
  });

  it("draws rows of the table by the seed", async () => {
    const sample = { prompt_tuning_init: "SAMPLE_VOCAB" };
    const [first, again, other] = [await fresh(sample), await fresh(sample), await fresh(sample, {}, 4)];
    expect([...again]).toEqual([...first]);
    expect([...other]).not.toEqual([...first]);
    const all = await table();
    const keys = new Set(Array.from({ length: 64 }, (_unused, i) => all.subarray(32 * i, 32 * i + 32).join()));
    for (let i = 0; i < 5; i++) expect(keys.has(first.subarray(32 * i, 32 * i + 32).join())).toBe(true);
  });
});
