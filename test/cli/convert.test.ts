/** `webpeft convert`: at full rank the LoRA computes what the adapter computes; what no LoRA can hold is refused. */
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { encodeSafetensors, openSafetensors } from "../../src/runtime/files/safetensors.ts";
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
    ["gpt2", "gpt2-lora-bias-only"],
    ["llama", "llama-lora-modules-to-save"],
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

describe("heads that the base model lacks", () => {
  const config = { peft_type: "LORA", task_type: "SEQ_CLS", r: 2, init_lora_weights: false, target_modules: ["query"] };
  const made = join(folder, "headed");
  const run = (command: string, ...args: string[]): { code: number | null; stderr: string } =>
    webpeft([command, ...cpu, ...base("bert-masked"), ...args]);

  it("go along, with their labels", async () => {
    writeFileSync(`${made}.json`, JSON.stringify(config));
    expect(run("init", "--labels", "a,b,c", "--config", `${made}.json`, "--out", made).code).toBe(0);
    const lora = join(folder, "headed-lora");
    expect(run("convert", "--adapter", made, "--rank", "32", "--out", lora).code).toBe(0);
    const want = await logits("bert-masked", made, "bert-cls-lora", `${made}-want.safetensors`);
    const got = await logits("bert-masked", lora, "bert-cls-lora", `${lora}-got.safetensors`);
    expect(difference(got, want)).toBeLessThan(1e-5);
    const told = (file: string): unknown => JSON.parse(readFileSync(join(lora, file), "utf8"));
    expect(told("head.json")).toEqual({ id2label: { 0: "a", 1: "b", 2: "c" } });
    expect(told("adapter_config.json")).toMatchObject({
      task_type: "SEQ_CLS",
      modules_to_save: ["bert.pooler.dense", "classifier", "score"],
    });
  });

  it.each(["convert", "merge"])("are refused by %s where no file has all of them", async (command) => {
    const without = join(folder, `${command}-without`);
    cpSync(made, without, { recursive: true });
    writeFileSync(join(without, "adapter_config.json"), JSON.stringify({ ...config, modules_to_save: ["classifier"] }));
    const path = join(without, "adapter_model.safetensors");
    const file = await openSafetensors(await fileSource(path));
    const left = [...file.tensors.keys()].filter((key) => !key.includes("pooler"));
    const tensors = await Promise.all(left.map(async (key) => [key, await file.read(key)] as const));
    writeFileSync(path, encodeSafetensors(new Map(tensors)));
    const rank = command === "convert" ? ["--rank", "2"] : [];
    const { code, stderr } = run(command, "--adapter", without, ...rank, "--out", `${without}-out`);
    expect([code, stderr]).toEqual([1, expect.stringContaining("MERGE-HEAD-DRAWN")]);
    expect(stderr).toContain("bert.pooler.dense.weight, bert.pooler.dense.bias");
    expect(existsSync(`${without}-out`)).toBe(false);
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
  it("a rank that no module can use, with the largest that one can", () => {
    const args = [...cpu, ...base("gpt2"), "--adapter", adapter("gpt2-lora"), "--out", join(folder, "ranked")];
    const { code, stderr } = webpeft(["convert", ...args, "--rank", "100000"]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/CONVERT-RANK[\s\S]*expected: 32 at most/)]);
    expect(existsSync(join(folder, "ranked"))).toBe(false);
  });

  it("a head for another task than the adapter's", () => {
    const input = [
      "--input",
      join(adapter("bert-cls-lora"), "inputs.safetensors"),
      "--out",
      join(folder, "headed.safetensors"),
    ];
    const args = [...cpu, ...base("bert-cls"), "--adapter", adapter("bert-cls-lora"), ...input];
    const { code, stderr } = webpeft(["eval", ...args, "--head", "TOKEN_CLS"]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/CONFIG-HEAD[\s\S]*SEQ_CLS/)]);
  });

  it.each([
    ["norms", "gpt2", "gpt2-ln"],
    ["both ends of a tie", "gpt2", "gpt2-trainabletokens-tied"],
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
