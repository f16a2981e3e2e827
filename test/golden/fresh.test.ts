/** Fresh adapters against PEFT's: the same tensors; equal bit by bit where a seed or the base decides, else of the same distribution. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { methods } from "../../src/methods/index.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { readAdapter } from "../../src/runtime/files/adapter.ts";
import { openSafetensors } from "../../src/runtime/files/safetensors.ts";
import { bytesSource } from "../../src/runtime/files/source.ts";
import { type HostTensor, toFloat32 } from "../../src/runtime/files/tensor.ts";
import type { Session } from "../../src/runtime/session/session.ts";
import { part } from "../extent.ts";
import { difference } from "../runtime/executor-samples.ts";
import { baseModel, golden, readNumbers } from "./helpers.ts";

interface FreshFacts {
  readonly base: string;
  readonly rebuildable_keys: readonly string[];
  readonly keys_from_global_generator: Readonly<Record<string, { min: number; max: number; std: number }>>;
  readonly fresh_adapter_changes_logits_by: number;
}

const json = (path: string): unknown => JSON.parse(readFileSync(golden(path), "utf8"));
const names = readdirSync(golden("init")).filter((name) => {
  if (name.includes(".")) return false;
  return methods.has((json(`init/${name}/adapter_config.json`) as { peft_type: string }).peft_type);
});

/** A norm of the base's weights: rounded by another order of the sum. */
const isNorm = (key: string): boolean => /w_norm|magnitude/.test(key);

const deviation = (xs: ArrayLike<number>): number => {
  const mean = Array.from(xs).reduce((sum, x) => sum + x, 0) / xs.length;
  return Math.sqrt(Array.from(xs).reduce((sum, x) => sum + (x - mean) ** 2, 0) / xs.length);
};

const executor = wasmExecutor();

async function fresh(name: string, facts: FreshFacts): Promise<Session> {
  const config = json(`init/${name}/adapter_config.json`);
  const options = { batch: 2, length: 8, mask: true, sampling: false, strict: false };
  return (await compile(await baseModel(facts.base), config, options)).start({ device: executor, seed: 11 });
}

async function savedTensors(session: Session): Promise<Map<string, HostTensor>> {
  const file = await openSafetensors(bytesSource("saved", (await session.files()).get("adapter_model.safetensors")!));
  return new Map(await Promise.all([...file.tensors.keys()].map(async (key) => [key, await file.read(key)] as const)));
}

function expectAlike(key: string, got: HostTensor, { min, max, std }: { min: number; max: number; std: number }): void {
  const values = toFloat32(got);
  const bound = Math.max(-min, max);
  const largest = values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  expect(largest / bound, key).toBeLessThan(2.5);
  if (values.length < 64) return;
  expect(largest / bound, key).toBeGreaterThan(0.6);
  expect(deviation(values) / std, key).toBeGreaterThan(0.75);
  expect(deviation(values) / std, key).toBeLessThan(1.3);
}

describe.each(part(names, 2))("%s", (name) => {
  const facts = json(`init/${name}/case.json`) as FreshFacts;

  it("has PEFT's tensors", async () => {
    const session = await fresh(name, facts);
    const { tensors } = await readAdapter(golden(`init/${name}`));
    const saved = await savedTensors(session);
    session.dispose();
    const kinds = [...tensors.tensors].map(([key, { dtype, shape }]) => ({ key, dtype, shape: [...shape] }));
    expect([...saved].map(([key, { dtype, shape }]) => ({ key, dtype, shape: [...shape] }))).toEqual(
      expect.arrayContaining(kinds),
    );
    expect(saved.size).toBe(kinds.length);
    for (const key of facts.rebuildable_keys) {
      const [got, wanted] = [saved.get(key)!, await tensors.read(key)];
      if (isNorm(key)) expect(difference(toFloat32(got), toFloat32(wanted)), key).toBeLessThan(2e-7);
      else expect(Buffer.from(got.bytes).equals(Buffer.from(wanted.bytes)), key).toBe(true);
    }
    for (const [key, range] of Object.entries(facts.keys_from_global_generator))
      expectAlike(key, saved.get(key)!, range);
  });

  const files = readdirSync(golden(`init/${name}`));
  it.runIf(files.includes("expected.safetensors"))("has PEFT's logits", async () => {
    const session = await fresh(name, facts);
    const { input_ids, attention_mask } = await readNumbers(`init/${name}/inputs.safetensors`);
    const { logits } = await session.forward({ input_ids: input_ids!, attention_mask: attention_mask! });
    session.dispose();
    expect(difference(logits, (await readNumbers(`init/${name}/expected.safetensors`)).logits!)).toBeLessThan(1e-4);
  });

  it.runIf(facts.fresh_adapter_changes_logits_by < 1e-5)("is the base model", async () => {
    const session = await fresh(name, facts);
    const { input_ids, attention_mask, labels } = await readNumbers("cases/llama-lora/inputs.safetensors");
    const batch = { input_ids: input_ids!, attention_mask: attention_mask!, labels: labels! };
    const tasks = session.program.adapter!.inputs.some((input) => input.name === "task_ids") && { task_ids: [0, 0] };
    const base = await (
      await compile(await baseModel(facts.base), null, { mode: "infer", batch: 2, length: 8, mask: true })
    ).start({ device: executor });
    const [adapted, alone] = [await session.forward({ ...batch, ...tasks }), await base.forward(batch)];
    session.dispose();
    base.dispose();
    expect(difference(adapted.logits, alone.logits)).toBeLessThan(2e-6);
  });
});
