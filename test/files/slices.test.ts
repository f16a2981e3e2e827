/** Layers whose tensors files hold as one: DINOv2's gated MLP. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadModel, type Model } from "../../src/runtime/files/model.ts";
import { saveModel } from "../../src/runtime/files/save-model.ts";
import { toFloat32 } from "../../src/runtime/files/tensor.ts";

const folder = "test/fixtures/golden/bases/dinov2-gated";
const layer = "dinov2.encoder.layer.1.mlp";

describe("two layers that are one tensor of a file", () => {
  let model: Model;
  let made: string;
  beforeAll(async () => {
    model = await loadModel(folder);
    made = await mkdtemp(join(tmpdir(), "slices-"));
  });
  afterAll(() => rm(made, { recursive: true }));

  it("are read apart, the rows of one behind those of the other", async () => {
    expect(model.weights.info(`${layer}.weights_in.weight`)).toBeUndefined();
    expect(model.weights.info(`${layer}.gate_proj.weight`)).toEqual({ dtype: "F32", shape: [48, 32] });
    expect(model.weights.info(`${layer}.up_proj.bias`)).toEqual({ dtype: "F32", shape: [48] });
    const parts = await Promise.all(
      ["gate_proj", "up_proj"].map(async (name) => toFloat32(await model.weights.read(`${layer}.${name}.weight`))),
    );
    const whole = toFloat32(await model.slices!.files.read(`${layer}.weights_in.weight`));
    expect([...parts[0]!, ...parts[1]!]).toEqual([...whole]);
  });

  it("are written as the one that they were", async () => {
    await saveModel(model, join(made, "same"));
    const [before, after] = await Promise.all(
      [folder, join(made, "same")].map((at) => readFile(join(at, "model.safetensors"))),
    );
    expect(after!.equals(before!)).toBe(true);
  });

  it("changed ones too", async () => {
    const key = `${layer}.up_proj.bias`;
    const weights = {
      ...model.weights,
      read: async (name: string) => {
        const tensor = await model.weights.read(name);
        return name === key ? { ...tensor, bytes: new Uint8Array(tensor.bytes.byteLength) } : tensor;
      },
    };
    await saveModel({ ...model, weights }, join(made, "changed"));
    const again = await loadModel(join(made, "changed"));
    expect([...toFloat32(await again.weights.read(key))].every((x) => x === 0)).toBe(true);
    const gate = `${layer}.gate_proj.bias`;
    expect(await again.weights.read(gate)).toEqual(await model.weights.read(gate));
  });
});
