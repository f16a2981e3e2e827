/** A method given as text: trains, merges, saves and reloads through the code of the example. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { adaptTinyLlama, gap, trainNewMethod, twoSided } from "../examples/new-method.ts";
import { readAdapter } from "../src/runtime/files/adapter.ts";
import { loadCase } from "./golden/helpers.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "webpeft-method-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it("stays a method of ten lines", () => {
  expect(twoSided.trim().split("\n").length).toBeLessThan(10);
});

it("trains, merges and reloads to the same numbers on f32 weights", async () => {
  const { model, inputs } = await loadCase("llama-lora");
  const { input_ids, labels } = inputs as Record<"input_ids" | "labels", Int32Array>;
  const size = { batch: 2, length: input_ids.length / 2 };
  const path = join(folder, "small");
  const run = { model, batch: () => ({ input_ids, labels }), size, steps: 5, folder: path, device: "cpu" } as const;
  const { losses, before, trained, merged, reloaded } = await trainNewMethod(run);
  expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.05);
  expect(gap(trained, before)).toBeGreaterThan(0.02);
  expect(gap(trained, merged)).toBeLessThan(2e-6);
  expect(reloaded).toEqual(trained);

  const adapter = await readAdapter(path);
  const prefix = "base_model.model.model.layers.0.self_attn.v_proj";
  expect(adapter.tensors.tensors.get(`${prefix}.two_sided_a`)!.shape).toEqual([16]);
  expect(adapter.tensors.tensors.get(`${prefix}.two_sided_b`)!.shape).toEqual([32]);
  expect(JSON.parse(await readFile(join(path, "adapter_config.json"), "utf8"))).toMatchObject({
    peft_type: "TWO_SIDED",
    spread: 0.01,
  });
});

it("adapts the example model, whose merged weights are rounded to bf16", async () => {
  const { losses, before, trained, merged, reloaded } = await adaptTinyLlama(join(folder, "tiny"), 12, "cpu");
  const mean = (list: readonly number[]): number => list.reduce((sum, x) => sum + x, 0) / list.length;
  expect(mean(losses.slice(-3))).toBeLessThan(mean(losses.slice(0, 3)) - 0.1);
  expect(gap(trained, merged)).toBeLessThan(0.02);
  // the merged model is the trained one, not the base
  expect(gap(before, merged)).toBeGreaterThan(5 * gap(trained, merged));
  expect(reloaded).toEqual(trained);
});
