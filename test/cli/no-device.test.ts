/** What commands do on a machine without any WebGPU: where the package that brings it is not installed. */
import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { golden, llama, scratch, webpeft } from "./helpers.ts";

const folder = scratch();
const command = join(folder, "dist/cli.js");
const adapter = join(golden, "cases/llama-lora");
const input = join(adapter, "inputs.safetensors");

/** The built package beside links to all packages but one. */
function installWithout(missing: string): void {
  cpSync(resolve("dist"), join(folder, "dist"), { recursive: true });
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  const scoped = (name: string): string[] =>
    name.startsWith("@") ? readdirSync(join("node_modules", name)).map((inner) => `${name}/${inner}`) : [name];
  for (const name of readdirSync("node_modules").flatMap(scoped)) {
    if (name === missing || name.startsWith(".")) continue;
    const link = join(folder, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(resolve("node_modules", name), link);
  }
}

describe("without WebGPU", () => {
  beforeAll(() => installWithout("webgpu"));

  it.each([
    ["train", ["--config", join(adapter, "adapter_config.json"), "--data", input, "--steps", "1"]],
    ["eval", ["--adapter", adapter, "--input", input]],
    ["merge", ["--adapter", adapter]],
    ["generate", ["--prompt", "x"]],
  ])("%s --device webgpu is a coded error that says what was tried, and never runs elsewhere", (name, options) => {
    const out = join(folder, `${name}-out`);
    const target = name === "generate" ? [] : ["--out", out];
    const model = name === "generate" ? resolve("examples/tiny-llama") : llama;
    const { code, stdout, stderr } = webpeft([name, "--model", model, ...options, ...target, "--device", "webgpu"], {
      command,
    });
    expect([code, stderr]).toEqual([1, expect.stringContaining("error DEVICE-NONE: there is no WebGPU device\n")]);
    expect(stderr).toMatch(/got: +dawn: .*webgpu, which is not installed.*swiftshader: /);
    expect(stderr).toContain("`--device cpu`");
    expect(stderr).not.toMatch(/DEFECT|\n\s+at /);
    expect([stdout, existsSync(out)]).toEqual(["", false]);
  });

  it("auto takes the CPU, and doctor says why", () => {
    const out = join(folder, "logits.safetensors");
    const run = webpeft(["eval", "--model", llama, "--input", input, "--out", out], { command });
    expect([run.code, run.stdout]).toEqual([0, expect.stringContaining("WebAssembly")]);
    const doctor = webpeft(["doctor"], { command });
    expect([doctor.code, doctor.stdout]).toEqual([0, expect.stringContaining("there is no WebGPU adapter")]);
    expect(doctor.stdout).toMatch(/^cpu +found +WebAssembly on /m);
  });
});
