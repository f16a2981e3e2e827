/** Training through the command: killed and resumed runs, accumulation, interruption. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openSafetensors } from "../../src/runtime/files/safetensors.ts";
import { bytesSource } from "../../src/runtime/files/source.ts";
import { toFloat32 } from "../../src/runtime/tensor.ts";
import { golden, killed, llama, scratch, tinyLlama, webpeft } from "./helpers.ts";

const folder = scratch();
const lora = join(folder, "lora.json");
writeFileSync(
  lora,
  JSON.stringify({
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    r: 4,
    lora_alpha: 8,
    lora_dropout: 0.1,
    target_modules: ["q_proj", "v_proj"],
  }),
);

const adapterBytes = (out: string): Buffer => readFileSync(join(out, "adapter_model.safetensors"));
const logLines = (file: string) =>
  readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { type?: string; step?: number; loss?: number });

async function tensors(out: string): Promise<Map<string, Float32Array>> {
  const file = await openSafetensors(bytesSource("adapter", adapterBytes(out)));
  return new Map(
    await Promise.all(
      [...file.tensors.keys()].map(async (key) => [key, toFloat32(await file.read(key)).slice()] as const),
    ),
  );
}

describe("a run that is killed and resumed", () => {
  const args = (out: string): string[] => [
    ...["train", "--model", llama, "--config", lora, "--data", join(golden, "cases/llama-lora/inputs.safetensors")],
    ...[
      "--steps",
      "40",
      "--lr",
      "0.01",
      "--seed",
      "3",
      "--schedule",
      "cosine",
      "--warmup",
      "4",
      "--clip",
      "0.5",
      "--device",
      "cpu",
      "--json",
    ],
    ...["--save-every", "3", "--out", out, "--log", `${out}.jsonl`],
  ];

  it("ends with the files of an uninterrupted run, byte for byte", async () => {
    const [whole, broken] = [join(folder, "whole"), join(folder, "broken")];
    expect(webpeft(args(whole)).code).toBe(0);
    for (const at of [2, 7, 13, 14, 31]) {
      await killed([...args(broken), "--resume"], (line) => line.startsWith(`{"step":${at},`));
    }
    expect(webpeft([...args(broken), "--resume"]).code).toBe(0);
    expect(adapterBytes(broken).equals(adapterBytes(whole))).toBe(true);
    expect(readdirSync(broken).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
    const losses = (out: string) =>
      logLines(`${out}.jsonl`)
        .filter((line) => line.step !== undefined && line.type === undefined)
        .map(({ step, loss }) => [step, loss]);
    expect(losses(broken)).toEqual(losses(whole));
    expect(losses(whole)).toHaveLength(40);
  });

  it("stops at Ctrl+C with a checkpoint, and goes on to the same files", async () => {
    const out = join(folder, "stopped");
    expect(await killed(args(out), (line) => line.startsWith('{"step":7,'), "SIGINT")).toBe(130);
    expect(readdirSync(out).every((name) => /^checkpoint-\d+$/.test(name))).toBe(true);
    expect(webpeft([...args(out), "--resume"]).code).toBe(0);
    expect(adapterBytes(out).equals(adapterBytes(join(folder, "whole")))).toBe(true);
  });

  it("keeps the checkpoints of the new run when an old one is overwritten", async () => {
    const out = join(folder, "again");
    await killed(args(out), (line) => line.startsWith('{"step":31,'));
    await killed([...args(out), "--overwrite"], (line) => line.startsWith('{"step":7,'));
    const steps = readdirSync(out).map((name) => Number(/^checkpoint-(\d+)$/.exec(name)?.[1]));
    expect(steps.length).toBeGreaterThan(0);
    expect(Math.max(...steps)).toBeLessThan(30);
  });

  it("refuses another config, and another learning rate", async () => {
    const out = join(folder, "refused");
    await killed(args(out), (line) => line.startsWith('{"step":5,'));
    const rate = webpeft([...args(out).map((word) => (word === "0.01" ? "0.02" : word)), "--resume"]);
    expect([rate.code, rate.stderr]).toEqual([1, expect.stringContaining("TRAIN-RESUME-OTHER")]);
    const other = join(folder, "other.json");
    writeFileSync(other, readFileSync(lora, "utf8").replace('"r":4', '"r":2'));
    const config = webpeft([...args(out).map((word) => (word === lora ? other : word)), "--resume"]);
    expect([config.code, config.stderr]).toEqual([1, expect.stringContaining("its config is another")]);
  });
});

describe("accumulation", () => {
  it("makes of eight batches of one what a batch of eight makes, with dropout", async () => {
    const run = (out: string, batch: number, accumulate: number) =>
      webpeft([
        ...[
          "train",
          "--model",
          tinyLlama,
          "--config",
          lora,
          "--data",
          "examples/data/kjv-heldout.txt",
          "--length",
          "16",
          "--steps",
          "50",
        ],
        ...[
          "--batch-size",
          String(batch),
          "--accumulate",
          String(accumulate),
          "--lr",
          "0.003",
          "--device",
          "cpu",
          "--out",
          out,
          "--log",
          `${out}.jsonl`,
        ],
      ]);
    const [one, many] = [join(folder, "one"), join(folder, "many")];
    expect(run(one, 8, 1).code).toBe(0);
    expect(run(many, 1, 8).code).toBe(0);
    const losses = (out: string) =>
      logLines(`${out}.jsonl`).flatMap(({ step, loss, type }) =>
        step === undefined || type !== undefined ? [] : [loss!],
      );
    losses(one).forEach((loss, step) => {
      expect(Math.abs(loss - losses(many)[step]!)).toBeLessThan(1e-4 * loss);
    });
    const [a, b] = [await tensors(one), await tensors(many)];
    for (const [key, values] of a) {
      const scale = values.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
      const gap = values.reduce((largest, x, i) => Math.max(largest, Math.abs(x - b.get(key)![i]!)), 0);
      expect(gap, key).toBeLessThan(1e-3 * scale);
    }
  });
});

describe("the log", () => {
  it("has a header, a line per step, and a last line", () => {
    const lines = logLines(join(folder, "whole.jsonl"));
    expect(lines[0]).toMatchObject({
      type: "header",
      seed: 3,
      version: expect.any(String) as string,
      config: expect.any(String) as string,
    });
    expect(Object.keys(lines[1]!).sort()).toEqual(["grad_norm", "loss", "lr", "ms", "step", "tokens", "tokens_per_s"]);
    expect(lines.at(-1)).toMatchObject({ type: "done", status: "finished" });
  });
});
