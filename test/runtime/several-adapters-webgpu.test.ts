/** Switching adapters on a device makes no pipeline. */
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { compile, loadModel, openDevice } from "../../src/index.ts";
import { largestDifference } from "./differences.ts";

const ids = Int32Array.from({ length: 8 }, (_unused, i) => (i * 5 + 3) % 64);
const lora = (r: number, alpha: number) => ({
  peft_type: "LORA",
  target_modules: ["q_proj"],
  r,
  lora_alpha: alpha,
  init_lora_weights: false,
});

it("switches between ranks without compiling, and computes what the CPU computes", { timeout: 120_000 }, async () => {
  const model = await loadModel(join("test/fixtures/golden", "bases/llama"));
  const open = await openDevice({ prefer: "webgpu" });
  const pipelines = vi.spyOn(open.device, "createComputePipelineAsync");
  const shaders = vi.spyOn(open.device, "createShaderModule");
  const sizes = { mode: "infer", batch: 1, length: 8 } as const;
  const program = await compile(model, lora(4, 4), { ...sizes, maximumRank: 8 });
  const session = await program.start({ device: open });
  const first = (await session.forward({ input_ids: ids })).logits;
  const made = [pipelines.mock.calls.length, shaders.mock.calls.length];
  expect(made[0]).toBeGreaterThan(0);
  for (const [name, r] of [
    ["small", 2],
    ["large", 8],
  ] as const) {
    const alone = await (await compile(model, lora(r, 16), sizes)).start({ device: "cpu", seed: r });
    await session.load(name, Object.fromEntries(await alone.files()));
    await session.use(name);
    const { logits } = await session.forward({ input_ids: ids });
    expect(largestDifference(logits, (await alone.forward({ input_ids: ids })).logits)).toBeLessThan(1e-5);
    expect(largestDifference(logits, first)).toBeGreaterThan(1e-3);
    alone.dispose();
  }
  await session.use("default");
  expect((await session.forward({ input_ids: ids })).logits).toEqual(first);
  expect([pipelines.mock.calls.length, shaders.mock.calls.length]).toEqual(made);
  session.dispose();
  open.dispose();
});
