/** Adapters that route by tasks, on data that is text: `"task"` in lines of JSON, and `--task` for whole files, prompts and batches. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openSafetensors } from "../../src/runtime/files/safetensors.ts";
import { fileSource } from "../../src/runtime/files/source.ts";
import { toFloat32 } from "../../src/runtime/files/tensor.ts";
import { type Finished, golden, scratch, tinyLlama, webpeft } from "./helpers.ts";

const folder = scratch();
const model = ["--model", tinyLlama, "--device", "cpu"];
const config = join(folder, "poly.json");
const routed = join(folder, "routed");

/** A file of lines of JSON. */
function lines(name: string, ...records: object[]): string {
  const path = join(folder, `${name}.jsonl`);
  writeFileSync(path, records.map((record) => JSON.stringify(record)).join("\n"));
  return path;
}
const task0 = { prompt: "the", completion: " a a a a a a a a" };
const task1 = { prompt: "the", completion: " z z z z z z z z" };

function train(data: string, out: string, ...more: string[]): Finished {
  const shape = ["--batch-size", "2", "--length", "12", "--seed", "1"];
  return webpeft([
    "train",
    ...model,
    "--config",
    config,
    "--data",
    data,
    "--out",
    join(folder, out),
    ...shape,
    ...more,
  ]);
}

beforeAll(() => {
  const poly = { peft_type: "POLY", r: 4, n_tasks: 2, n_skills: 2, target_modules: ["q_proj", "v_proj", "down_proj"] };
  writeFileSync(config, JSON.stringify(poly));
});

describe("training", () => {
  it("takes the task of a line, and what it learns is the task's", () => {
    const both = lines("both", { ...task0, task: 0 }, { ...task1, task: 1 });
    expect(train(both, "routed", "--steps", "60", "--lr", "0.03")).toMatchObject({ code: 0 });
    const written = (task: number): string => {
      const args = ["--adapter", routed, "--prompt", "the", "--max-tokens", "6", "--task", String(task)];
      const { code, stdout } = webpeft(["generate", ...model, ...args]);
      expect(code).toBe(0);
      return stdout.trim();
    };
    expect(written(0)).toMatch(/^the( a)+/);
    expect(written(1)).toMatch(/^the( z)+/);
  });

  it("takes --task for lines without one, and for a text", () => {
    const some = lines("some", { ...task0, task: 0 }, task1);
    expect(train(some, "some", "--steps", "1", "--task", "1").code).toBe(0);
    const text = join(folder, "text.txt");
    writeFileSync(text, "some words of one task");
    expect(train(text, "text", "--steps", "1", "--task", "1").code).toBe(0);
  });

  it.each([
    ["none has a task", [task0, task1], "DATA-BATCH", '"task": N'],
    ["some have none", [task0, { ...task1, task: 1 }], "DATA-TASK", "--task N"],
    ["one is not there", [{ ...task1, task: 2 }], "DATA-TOKEN-RANGE", "0 to 1"],
    ["one is no number", [{ ...task1, task: "b" }], "DATA-LINE", '"b"'],
  ])("refuses lines of which %s", (name, records, code, words) => {
    const { code: exit, stderr } = train(lines(name, ...records), name.replaceAll(" ", "-"), "--steps", "1");
    expect([exit, stderr]).toEqual([1, expect.stringContaining(code)]);
    expect(stderr).toContain(words);
  });
});

describe("--task", () => {
  const llama = ["--model", join(golden, "bases/llama"), "--device", "cpu"];
  const input = ["--input", join(golden, "cases/llama-lora/inputs.safetensors")];

  it("evaluates a batch without tasks, and is what merging for the task gives", async () => {
    const logits = async (name: string, ...more: string[]): Promise<Float32Array> => {
      const out = join(folder, `${name}.safetensors`);
      const args = [...llama, ...input, "--adapter", join(golden, "cases/llama-poly"), "--out", out, ...more];
      expect(webpeft(["eval", ...args])).toMatchObject({ code: 0 });
      return toFloat32(await (await openSafetensors(await fileSource(out))).read("logits")).slice();
    };
    const [first, second] = [await logits("zero", "--task", "0"), await logits("one", "--task", "1")];
    expect(first).not.toEqual(second);
    const merged = await logits("merged", "--task", "1", "--merged");
    expect(Math.max(...merged.map((x, i) => Math.abs(x - second[i]!)))).toBeLessThan(1e-4);
  });

  it("is refused where the adapter does not route by tasks, and where no task is given to one that does", () => {
    const lora = ["--adapter", join(golden, "cases/llama-lora"), "--out", join(folder, "refused.safetensors")];
    const { code, stderr } = webpeft(["eval", ...llama, ...input, ...lora, "--task", "1"]);
    expect([code, stderr]).toEqual([1, expect.stringContaining("DATA-OPTION")]);
    const without = webpeft(["generate", ...model, "--adapter", routed, "--prompt", "the", "--max-tokens", "2"]);
    expect([without.code, without.stderr]).toEqual([1, expect.stringContaining("--task N")]);
  });
});
