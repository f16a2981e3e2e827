/** `webpeft convert`: at full rank the LoRA computes what the adapter computes; what no LoRA can hold is refused. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openSafetensors } from "../../src/runtime/files/safetensors.ts";
import { fileSource } from "../../src/runtime/files/source.ts";
import { toFloat32 } from "../../src/runtime/tensor.ts";
import { golden, scratch, webpeft } from "./helpers.ts";

const folder = scratch();
const cpu = ["--device", "cpu"];
const base = (name: string): string[] => ["--model", join(golden, "bases", name)];
const adapter = (name: string): string => join(golden, "cases", name);

async function logits(model: string, from: string, input: string, out: string): Promise<Float32Array> {
  const args = [...cpu, ...base(model), "--adapter", from, "--input", join(adapter(input), "inputs.safetensors")];
  expect(webpeft(["eval", ...args, "--out", out]).code).toBe(0);
  return toFloat32(await (await openSafetensors(await fileSource(out))).read("logits")).slice();
}

describe("at full rank", () => {
  it.each([
    ["qwen2", "qwen2-oft-embedding"],
    ["gpt2", "gpt2-fourierft"],
    ["vit-cls", "vit-cls-hra-patches"],
  ])("%s: %s", async (model, name) => {
    const out = join(folder, name);
    const { code, stdout } = webpeft([
      "convert",
      ...cpu,
      ...base(model),
      "--adapter",
      adapter(name),
      "--rank",
      "32",
      "--out",
      out,
    ]);
    expect([code, stdout]).toEqual([0, expect.stringContaining("largest relative error")]);
    const want = await logits(model, adapter(name), name, `${out}-want.safetensors`);
    const got = await logits(model, out, name, `${out}-got.safetensors`);
    const largest = Math.max(...want.map(Math.abs));
    expect(Math.max(...want.map((x, i) => Math.abs(x - got[i]!))) / largest).toBeLessThan(1e-5);
  });
});

describe("refused", () => {
  it.each([
    ["norms", "gpt2", "gpt2-ln"],
    ["biases", "gpt2", "gpt2-lora-bias-only"],
    ["both ends of a tie", "gpt2", "gpt2-trainabletokens-tied"],
    ["modules in full", "llama", "llama-lora-modules-to-save"],
  ])("%s", (_what, model, name) => {
    const out = join(folder, `${name}-refused`);
    const { code, stderr } = webpeft([
      "convert",
      ...cpu,
      ...base(model),
      "--adapter",
      adapter(name),
      "--rank",
      "2",
      "--out",
      out,
    ]);
    expect([code, stderr]).toEqual([1, expect.stringContaining("CONVERT-OTHER")]);
  });
});
