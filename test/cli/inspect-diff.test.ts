/** `webpeft inspect --diff`: two dumps compared. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import type { ProgramDiff } from "../../src/inspect/diff.ts";
import { type Finished, golden, llama, scratch, webpeft } from "./helpers.ts";

const folder = scratch();
const at = (name: string): string => join(folder, name);

function dump(name: string, adapter: string, length: number): void {
  const { code, stderr } = webpeft([
    ...["inspect", "--model", llama, "--adapter", join(golden, "cases", adapter), "--device", "cpu"],
    ...["--batch", "2", "--length", String(length), "--out", at(name)],
  ]);
  expect(code, stderr).toBe(0);
}

const diff = (...args: readonly string[]): Finished => webpeft(["inspect", "--device", "cpu", "--diff", ...args]);
const compared = (a: string, b: string): ProgramDiff => JSON.parse(diff(at(a), at(b), "--json").stdout) as ProgramDiff;

beforeAll(() => {
  dump("lora", "llama-lora", 8);
  dump("again", "llama-lora", 8);
  dump("longer", "llama-lora", 16);
  dump("oft", "llama-oft", 8);
});

it("finds nothing between equal programs", () => {
  const { facts, kernels, flips, ops } = compared("lora", "again");
  expect(facts.filter(({ a, b }) => a !== b)).toEqual([]);
  expect([kernels.resized, kernels.onlyA, kernels.onlyB, flips, ops]).toEqual([[], [], [], [], []]);
  expect(kernels.same.length).toBeGreaterThan(20);
});

it("finds the same kernels with other sizes, and decisions that flip, where rows are longer", () => {
  const { facts, kernels, flips } = compared("lora", "longer");
  expect(facts).toContainEqual({ name: "tokens of a row", a: 8, b: 16 });
  expect(kernels.resized.length).toBeGreaterThan(kernels.onlyA.length);
  const flop = kernels.resized.map(({ a, b }) => b!.flops - a!.flops);
  expect(Math.min(...flop)).toBeGreaterThanOrEqual(0);
  expect(flips[0]).toMatchObject({ stage: "forward", a: { decision: "activation" }, b: { decision: "weight" } });
});

it("finds what another method computes, by line and by module", () => {
  const { kernels, ops } = compared("lora", "oft");
  expect(new Set(kernels.onlyB.flatMap(({ b }) => b!.lines.map((line) => line.split(":")[0])))).toEqual(
    new Set(["oft.ts"]),
  );
  expect(ops).toContainEqual(
    expect.objectContaining({ stage: "micro", site: "mlp.down_proj", phase: "backward", op: "einsum" }),
  );
});

it("writes text and JSON, and prints the same text", () => {
  const printed = diff(at("lora"), at("oft")).stdout;
  expect(diff(at("lora"), at("oft"), "--out", at("diff")).code).toBe(0);
  expect(readFileSync(join(at("diff"), "diff.txt"), "utf8")).toBe(printed);
  for (const title of ["Figures", "Kernels", "In A only", "In B only", "Decisions that flipped", "Operations"])
    expect(printed).toContain(title);
  const page = readFileSync(join(at("diff"), "report.html"), "utf8");
  for (const [name, id] of [
    ["lora", "data"],
    ["oft", "other"],
  ]) {
    const [, data] = /<script[^>]* id="data">([^<]*)</.exec(readFileSync(join(at(name!), "report.html"), "utf8"))!;
    expect(page).toContain(` id="${id}">${data}<`);
  }
  expect(JSON.parse(readFileSync(join(at("diff"), "diff.json"), "utf8"))).toMatchObject({ a: at("lora") });
});

it("wants two folders that inspect wrote", () => {
  expect(diff(at("lora"))).toMatchObject({ code: 2, stderr: expect.stringContaining("got:      1 folder") });
  expect(diff(at("lora"), at("nowhere"))).toMatchObject({ code: 1, stderr: expect.stringContaining("INSPECT-DUMP") });
  writeFileSync(join(at("again"), "plan.json"), "{}");
  expect(diff(at("lora"), at("again"))).toMatchObject({ code: 1, stderr: expect.stringContaining("version 1") });
});
