/** `webpeft convert`: at full rank the LoRA computes what the adapter computes; what no LoRA can hold is refused. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openSafetensors } from "../../src/runtime/files/safetensors.ts";
import { fileSource } from "../../src/runtime/files/source.ts";
import { toFloat32 } from "../../src/runtime/files/tensor.ts";
import { difference } from "../runtime/executor-samples.ts";
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
    expect(difference(got, want)).toBeLessThan(1e-5);
  });
});

describe("adapters whose file PEFT does not read", () => {
  const made = (name: string, config: object): { out: string; stderr: string } => {
    const out = join(folder, name);
    writeFileSync(`${out}.json`, JSON.stringify({ target_modules: ["c_attn"], ...config }));
    const data = ["--data", join(adapter("gpt2-lora"), "inputs.safetensors"), "--batch-size", "2", "--length", "8"];
    const args = [...cpu, ...base("gpt2"), "--config", `${out}.json`, ...data, "--steps", "2", "--lr", "0.1"];
    const { code, stderr } = webpeft(["train", ...args, "--out", out]);
    expect([code, stderr]).toEqual([0, expect.any(String)]);
    return { out, stderr };
  };

  it("Bone says so, and what to take instead", () => {
    const { stderr } = made("bone", { peft_type: "BONE", r: 8 });
    expect(stderr).toMatch(/warning METHOD-FILE: PEFT reads BONE files before 0\.19 only[\s\S]*peft_type MISS/);
  });

  it("the mean of a posterior is a LoRA of its rank", async () => {
    const { out, stderr } = made("posterior", { peft_type: "VBLORA", vb_r: 3, vb_init_std: 0.3 });
    expect(stderr).toContain("webpeft convert --rank 3");
    const lora = join(folder, "posterior-lora");
    const converted = webpeft(["convert", ...cpu, ...base("gpt2"), "--adapter", out, "--rank", "3", "--out", lora]);
    expect(converted.code).toBe(0);
    const want = await logits("gpt2", out, "gpt2-lora", join(folder, "posterior-want.safetensors"));
    const got = await logits("gpt2", lora, "gpt2-lora", join(folder, "posterior-got.safetensors"));
    expect(difference(got, want)).toBeLessThan(1e-5);
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
