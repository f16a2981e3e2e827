/** `webpeft inspect --diff`: two dumps compared. */
import { cpSync, readFileSync, writeFileSync } from "node:fs";
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
  expect(diff(at("lora"), at("again"))).toMatchObject({ code: 1, stderr: expect.stringContaining("version 2") });
});

/** Sets what stands at a path of keys; takes it away where `to` is undefined. */
function edit(json: unknown, [key, ...path]: readonly (string | number)[], to: unknown): void {
  const fields = json as Record<string | number, unknown>;
  if (path.length > 0) edit(fields[key!], path, to);
  else if (to === undefined) delete fields[key!];
  else fields[key!] = to;
}

it.each<readonly [string, readonly (string | number)[], unknown, string]>([
  ["plan.json", ["stages", 1, "dispatches", 3, "flops"], "many", '"many" where a number is expected'],
  ["plan.json", ["stages", 1, "dispatches"], null, "null where a list is expected"],
  ["graph.json", ["micro", "nodes", 40, "inputs"], [5000], "mul cannot take its inputs"],
  ["graph.json", ["micro"], [], "a list where an object is expected"],
  ["timeline.json", [0], "build", '"build" where an object is expected'],
  ["timeline.json", [3, "notes"], undefined, "nothing where a list is expected"],
])("names the field of an edited %s: %j = %j", (file, path, to, fault) => {
  cpSync(at("oft"), at("edited"), { recursive: true });
  const edited = join(at("edited"), file);
  const json: unknown = JSON.parse(readFileSync(edited, "utf8"));
  edit(json, path, to);
  writeFileSync(edited, JSON.stringify(json));
  const { code, stderr } = diff(at("lora"), at("edited"));
  expect(code).toBe(1);
  expect(stderr).toContain("INSPECT-DUMP");
  const place = path.map((key) => (typeof key === "number" ? `[${key}]` : `.${key}`)).join("");
  const named = file === "graph.json" && path.length > 1 ? place.slice(0, place.lastIndexOf(".")) : place;
  expect(stderr).toContain(`got:      ${named.replace(/^\./, "")}: ${fault}`);
});

it("says that a file was cut", () => {
  cpSync(at("oft"), at("cut"), { recursive: true });
  writeFileSync(join(at("cut"), "timeline.json"), readFileSync(join(at("oft"), "timeline.json"), "utf8").slice(0, 500));
  expect(diff(at("lora"), at("cut")).stderr).toContain("got:      no JSON");
});
