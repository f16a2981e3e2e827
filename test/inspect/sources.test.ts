/** What an inspection needs. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readTarget } from "../../src/cli/target.ts";
import { tuningOf } from "../../src/codegen/target.ts";
import { compile } from "../../src/compile/index.ts";
import { inspectionFiles } from "../../src/inspect/index.ts";
import { loadModel } from "../../src/runtime/files/model.ts";
import { golden } from "../golden/helpers.ts";

const folder = mkdtempSync(join(tmpdir(), "webpeft-inspect-"));
afterAll(() => rmSync(folder, { recursive: true }));
const write = (name: string, data: string | Uint8Array): string => {
  writeFileSync(join(folder, name), data);
  return join(folder, name);
};

const lora = { peft_type: "LORA", r: 2, target_modules: ["q_proj"] };
const options = { batch: 2, length: 8 };
const base = (name: string): Buffer => readFileSync(golden(`bases/llama/${name}`));

async function graphOf(headersOnly: boolean): Promise<string> {
  const program = await compile(await loadModel(folder, { headersOnly }), lora, options);
  return inspectionFiles(program).get("graph.tensor.ir")!;
}

describe("an inspection", () => {
  it("is the same from the whole model, from headers, and from the config alone", async () => {
    write("config.json", base("config.json"));
    const tensors = write("model.safetensors", base("model.safetensors"));
    const whole = await graphOf(false);
    const file = base("model.safetensors");
    write("model.safetensors", file.subarray(0, 8 + Number(file.readBigUInt64LE(0))));
    await expect(graphOf(false)).rejects.toMatchObject({ code: "FILE-SAFETENSORS-TRUNCATED" });
    expect(await graphOf(true)).toBe(whole);
    rmSync(tensors);
    await expect(graphOf(false)).rejects.toMatchObject({ code: "FILE-NOT-FOUND" });
    expect(await graphOf(true)).toBe(whole);
    const model = await loadModel(folder, { headersOnly: true });
    await expect(model.weights.read("model.norm.weight")).rejects.toMatchObject({ code: "FILE-NOT-FOUND" });
  });
});

describe("a target in a file", () => {
  it("has the default for what it does not say", async () => {
    const target = await readTarget(write("one.json", '{"limits": {"maxStorageBufferBindingSize": 268435456}}'));
    const preset = await readTarget("default");
    expect(target).toEqual({
      ...preset,
      largestBinding: 268435456,
      limits: { ...preset.limits, maxStorageBufferBindingSize: 268435456 },
    });
    expect(await readTarget(write("two.json", '{"kind": "cpu"}'))).toEqual(await readTarget("cpu"));
    const tuned = await readTarget(write("three.json", '{"kind": "cpu", "tuning": {"busyRows": 2}}'));
    expect(tuningOf(tuned)).toEqual({ ...tuningOf(await readTarget("cpu")), busyRows: 2 });
  });

  it.each([
    ['{"limit": {}}', "there is no option limit"],
    ['{"limits": {"maxStorageBuffers": 8}}', "there is no option maxStorageBuffers"],
    ['{"limits": {"maxStorageBufferBindingSize": "128 MiB"}}', "maxStorageBufferBindingSize has a value"],
    ['{"limits": 8}', "limits has a value"],
    ['{"tuning": {"treePrize": 1}}', "there is no option treePrize"],
    ['{"tuning": {"treePrice": "high"}}', "treePrice has a value"],
    ['{"kind": "tpu"}', "kind has a value"],
    ['{"workgroup": -1}', "workgroup has a value"],
    ['{"limits": {"maxStorageBufferBindingSize": 256}}', "no device binds so little"],
  ])("%s is refused", async (text, message) => {
    await expect(readTarget(write("bad.json", text))).rejects.toMatchObject({
      code: "CLI-TARGET",
      message: expect.stringContaining(message),
    });
  });
});
