/** Names in the text of kernels: for people, of the kernel alone, and each for one thing. */
import { describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { inspectionFiles } from "../../src/inspect/index.ts";
import { part } from "../extent.ts";
import { loadCase } from "../golden/helpers.ts";

const cases = ["llama-lora", "llama-oft", "llama-boft", "llama-fourierft", "gpt2-vera", "mixtral-lora-experts"];

/** What is declared in the body of a kernel, with the depth of its block. */
function declared(wgsl: string): Map<string, number> {
  const found = new Map<string, number>();
  const body = wgsl.slice(wgsl.indexOf("@compute"));
  for (const [, name] of body.matchAll(/\b(?:let|var) (\w+) =/g)) found.set(name!, (found.get(name!) ?? 0) + 1);
  return found;
}

describe.each(part(cases, 4))("kernels of %s", (name) => {
  it("have names that say what things are, each once", async () => {
    const { model, adapter } = await loadCase(name);
    const { kernels } = await compile(model, adapter, { batch: 2, length: 12 });
    for (const { wgsl } of kernels) {
      expect(wgsl).not.toMatch(/\b[tsb]\d+\b/);
      expect([...declared(wgsl)].filter(([, times]) => times > 1)).toEqual([]);
      const fields = /struct Part \{ (.*) \}/
        .exec(wgsl)![1]!
        .split(", ")
        .map((field) => field.split(":")[0]!);
      expect(new Set(fields).size).toBe(fields.length);
    }
    const products = kernels.filter(({ wgsl }) => wgsl.includes("// contraction"));
    for (const { wgsl } of products) expect(wgsl).toMatch(/\bk0_end\b[\s\S]*\bin\d+_per_k0\b/);
  });

  it("are told in the files of a dump: lines, nodes, modules, grid, work and parts", async () => {
    const { model, adapter } = await loadCase(name);
    const program = await compile(model, adapter, { batch: 2, length: 12 });
    const files = inspectionFiles(program);
    let lines = 0;
    for (const { name: kernel, wgsl, nodes, grid } of program.kernels) {
      const text = files.get(`kernels/${kernel}.wgsl`)!;
      expect(text.endsWith(wgsl)).toBe(true);
      const header = text.slice(0, -wgsl.length);
      expect(header).toMatch(/^(\/\/ .*\n)+$/);
      expect(header).toContain(`// computes   ${nodes[0]}`);
      expect(header).toContain(`// grid       ${grid.join(" x ")} workgroups of`);
      expect(header).toMatch(/\/\/ runs {7}\w+ \d+[\s\S]*\/\/ work {7}\d+ flop, \d+ bytes[\s\S]*\/\/ part 0 {5}/);
      if (/\/\/ line {7}\w+\.ts:\d+ {2}\S/.test(header)) lines++;
    }
    expect(lines).toBeGreaterThan(2);
  });
});
