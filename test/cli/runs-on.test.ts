/** Commands compile for what runs their programs, not for the limits of a GPU. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runOn } from "../../src/cli/runs-on.ts";
import { readTarget } from "../../src/cli/target.ts";
import { wasmTargetHere } from "../../src/index.ts";
import { golden, llama, scratch, tinyLlama, webpeft } from "./helpers.ts";

const folder = scratch();
const input = join(golden, "cases/llama-lora/inputs.safetensors");
const adapter = ["--adapter", join(golden, "cases/llama-lora")];
const config = ["--config", join(golden, "cases/llama-lora/adapter_config.json")];
const broken = join(folder, "broken.txt");
writeFileSync(broken, "method broken on linear { W' = nothing; }");

describe("what programs are compiled for", () => {
  it.each([
    ["train", "cpu", [...config, "--data", input, "--steps", "1", "--memory", "10KiB", "--out"]],
    ["train", "auto", [...config, "--data", input, "--steps", "1", "--memory", "10KiB", "--out"]],
    ["train", "tfjs", [...config, "--data", input, "--steps", "1", "--method", broken, "--out"]],
    ["eval", "cpu", [...adapter, "--input", input, "--memory", "10KiB", "--out"]],
    ["merge", "cpu", [...adapter, "--method", broken, "--out"]],
    ["convert", "cpu", [...adapter, "--rank", "2", "--method", broken, "--out"]],
    ["init", "cpu", [...config, "--method", broken, "--out"]],
    ["generate", "cpu", [...adapter, "--method", broken, "--prompt"]],
  ])("%s --device %s: this engine's WebAssembly, as the dump of an error has it", (command, device, options) => {
    const dump = join(folder, `dump-${command}-${device}`);
    const model = command === "generate" ? tinyLlama : llama;
    const out = join(folder, `out-${command}-${device}`);
    const { code, stderr } = webpeft([
      ...["--device", device, "--dump", dump, command, "--model", model, ...options, out],
    ]);
    expect(code, stderr).toBe(1);
    const { options: given } = JSON.parse(readFileSync(join(dump, "reproduce.json"), "utf8"));
    expect(given.target).toEqual(wasmTargetHere());
  });

  it("is what inspect calls wasm", async () => {
    expect(await readTarget("wasm")).toEqual(await runOn("cpu", async ({ target }) => target));
  });

  it("is the executor's own target where it has one", async () => {
    await runOn("cpu", async ({ executor, target }) => expect(target).toBe(executor.target));
    await runOn("reference", async ({ executor, target }) =>
      expect([executor.target, target]).toEqual([undefined, wasmTargetHere()]),
    );
  });
});
