/** Adapters that have more than their own two files: X-LoRA's experts in folders, P-tuning's encoder. */
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { golden, killed, llama, scratch, webpeft } from "./helpers.ts";

const folder = scratch();
const model = ["--model", llama, "--device", "cpu"];
const at = (...parts: string[]): string => join(folder, ...parts);
const batch = join(golden, "cases/llama-xlora-depth2/inputs.safetensors");
const experts = join(golden, "cases/llama-xlora-depth2");
const training = (out: string): string[] => [
  "train",
  ...model,
  "--data",
  batch,
  "--out",
  at(out),
  "--save-every",
  "1",
  "--lr",
  "1e-4",
];

beforeAll(() => {
  cpSync(experts, at("experts"), { recursive: true });
  const xlora = {
    peft_type: "XLORA",
    task_type: "CAUSAL_LM",
    adapters: { z: "experts/0", a: "experts/1" },
    xlora_depth: 2,
  };
  writeFileSync(at("xlora.json"), JSON.stringify({ ...xlora, xlora_size: 8 }));
});

describe("experts", () => {
  it("are found beside the config, and written with a fresh adapter in their order", () => {
    expect(webpeft(["init", ...model, "--config", at("xlora.json"), "--out", at("fresh")])).toMatchObject({ code: 0 });
    const text = readFileSync(at("fresh/adapter_config.json"), "utf8");
    const { adapters } = JSON.parse(text) as { adapters: Record<string, string> };
    expect(Object.entries(adapters)).toEqual(Object.entries({ z: "experts/0", a: "experts/1" }));
    for (const path of Object.values(adapters))
      expect(readFileSync(at("fresh", path, "adapter_model.safetensors"))).toEqual(
        readFileSync(at(path, "adapter_model.safetensors")),
      );
    const evaluated = ["--adapter", at("fresh"), "--input", batch, "--out", at("fresh.safetensors"), "--grad"];
    expect(webpeft(["eval", ...model, ...evaluated])).toMatchObject({ code: 0 });
  });

  it("stand in the place of no file of an adapter, a checkpoint or a tokenizer, whatever they are called", () => {
    const names = ["training.json", "Tokenizer.json"];
    const adapters = Object.fromEntries(names.map((name) => [name, `../${name}`]));
    writeFileSync(at("files.json"), JSON.stringify({ peft_type: "XLORA", task_type: "CAUSAL_LM", adapters }));
    const given = names.flatMap((name, i) => ["--expert", `${name}=${join(experts, `${i}`)}`]);
    const run = [...training("files"), "--config", at("files.json"), ...given, "--steps", "2"];
    expect(webpeft(run)).toMatchObject({ code: 0 });
    const saved = JSON.parse(readFileSync(at("files/adapter_config.json"), "utf8")) as { adapters: object };
    expect(Object.values(saved.adapters)).toEqual(names.map((name) => expect.stringMatching(`^expert-${name}`)));
    const evaluated = ["--adapter", at("files"), "--input", batch, "--out", at("files.safetensors")];
    expect(webpeft(["eval", ...model, ...evaluated])).toMatchObject({ code: 0 });
  });

  it("belong to what a run is: with others it is not resumed", async () => {
    const run = [...training("run"), "--config", at("xlora.json"), "--steps", "4000"];
    await killed(run, (line) => line.includes("step 1/"), { signal: "SIGINT" });
    const resume = (steps: string): string[] => [
      ...training("run"),
      "--config",
      at("xlora.json"),
      "--steps",
      steps,
      "--resume",
    ];
    rmSync(at("experts/1"), { recursive: true });
    cpSync(at("experts/0"), at("experts/1"), { recursive: true });
    const { code, stderr } = webpeft(resume("4000"));
    expect(code).toBe(1);
    expect(stderr).toMatch(/TRAIN-RESUME-OTHER/);
  });

  it("merge for gates that are given, with the proof, and for no other number of them", () => {
    const merge = (out: string, ...gates: string[]) =>
      webpeft(["--json", "merge", ...model, "--adapter", experts, "--out", at(out), ...gates]);
    const refused = merge("merged");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/MERGE-OPTION/);
    expect(existsSync(at("merged"))).toBe(false);
    expect(merge("merged", "--gates", "1")).toMatchObject({ code: 1 });
    expect(merge("merged", "--gates", "one,two")).toMatchObject({ code: 2 });
    const { code, stdout } = merge("merged", "--gates", "0.25,-1.5");
    expect(code).toBe(0);
    const { largest_logit_gap: gap, largest_logit: largest } = JSON.parse(stdout.trim().split("\n").at(-1)!) as Record<
      string,
      number
    >;
    expect(gap! / largest!).toBeLessThan(1e-4);
  });
});

describe("an encoder", () => {
  const adapter = join(golden, "cases/llama-p-tuning");

  it("goes through checkpoints: a run that was stopped ends as one that was not", async () => {
    const run = (out: string): string[] => [...training(out), "--adapter", adapter, "--steps", "100"];
    expect(webpeft(run("whole"))).toMatchObject({ code: 0 });
    await killed(run("parts"), (line) => line.includes("step 1/"), { signal: "SIGINT" });
    const again = webpeft([...run("parts"), "--resume"]);
    expect([again.code, again.stderr]).toEqual([0, ""]);
    for (const name of ["encoder.safetensors", "adapter_model.safetensors"])
      expect(readFileSync(at("parts", name))).toEqual(readFileSync(at("whole", name)));
  });

  it("is missing where nobody wrote it: such an adapter computes and does not train", () => {
    cpSync(adapter, at("rows"), { recursive: true });
    rmSync(at("rows/encoder.safetensors"));
    const evaluated = ["--adapter", at("rows"), "--input", batch, "--out", at("rows.safetensors")];
    expect(webpeft(["eval", ...model, ...evaluated])).toMatchObject({ code: 0 });
    const { code, stderr } = webpeft([...training("none"), "--adapter", at("rows"), "--steps", "1"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/TRAIN-ENCODER/);
  });
});
