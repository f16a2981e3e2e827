/** Tensors that files hold in parts: read as one, and written as they were. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { compile, loadModel, modelFiles } from "../../src/index.ts";
import { openSafetensors } from "../../src/runtime/files/safetensors.ts";
import { bytesSource } from "../../src/runtime/files/source.ts";
import { toFloat32 } from "../../src/runtime/files/tensor.ts";
import { failure, golden } from "./helpers.ts";

const folder = `${golden}/bases/mixtral`;
const open = async () =>
  openSafetensors(bytesSource("model.safetensors", new Uint8Array(readFileSync(`${folder}/model.safetensors`))));
const config = JSON.parse(readFileSync(`${folder}/config.json`, "utf8")) as Record<string, unknown>;
const expert = (e: number, name: string): string => `model.layers.0.block_sparse_moe.experts.${e}.${name}.weight`;

async function weights() {
  const file = await open();
  const read = [...file.tensors.keys()].map(async (key) => [key, await file.read(key)] as const);
  return Object.fromEntries(await Promise.all(read));
}

it("experts are one tensor, each with its gate before what it gates", async () => {
  const model = await loadModel(folder);
  const file = await open();
  const key = "model.layers.0.mlp.experts.gate_up_proj";
  expect(model.weights.info(key)).toEqual({ dtype: "F32", shape: [4, 40, 32] });
  expect(model.weights.info(expert(0, "w1"))).toBeUndefined();
  expect(model.weights.keys().some((name) => /experts\.\d/.test(name))).toBe(false);
  const parts = await Promise.all([0, 1, 2, 3].flatMap((e) => ["w1", "w3"].map((name) => file.read(expert(e, name)))));
  expect([...toFloat32(await model.weights.read(key))]).toEqual(parts.flatMap((part) => [...toFloat32(part)]));
});

it("a model is written with the tensors of its file, in its order", async () => {
  const files = await modelFiles(await loadModel(folder));
  const before = await open();
  const after = await openSafetensors(bytesSource("model.safetensors", files.get("model.safetensors")!));
  expect([...after.tensors.keys()]).toEqual([...before.tensors.keys()]);
  for (const key of before.tensors.keys())
    expect((await after.read(key)).bytes).toEqual((await before.read(key)).bytes);
});

it("what trained is written in parts too", async () => {
  const model = await loadModel(folder);
  const program = await compile(model, null, { full: true, batch: 1, length: 8 });
  const session = await program.start({ device: "cpu" });
  const ids = Int32Array.from({ length: 8 }, (_unused, i) => (i * 7 + 3) % 64);
  await session.step({ input_ids: ids, labels: ids });
  const { loss } = await session.forward({ input_ids: ids, labels: ids });
  const files = await modelFiles(await session.merge());
  session.dispose();
  const again = await loadModel(Object.fromEntries(files));
  const whole = await compile(again, null, { mode: "infer", batch: 1, length: 8 });
  const reread = await whole.start({ device: "cpu" });
  expect((await reread.forward({ input_ids: ids, labels: ids })).loss).toBeCloseTo(loss!, 5);
  reread.dispose();
  const before = await open();
  const after = await openSafetensors(bytesSource("model.safetensors", files.get("model.safetensors")!));
  expect([...after.tensors.keys()]).toEqual([...before.tensors.keys()]);
  const key = expert(1, "w2");
  expect((await after.read(key)).bytes).not.toEqual((await before.read(key)).bytes);
});

it("a part that is missing, or another one, is named", async () => {
  const { [expert(2, "w3")]: part, ...rest } = await weights();
  const missing = await failure(() => loadModel({ config, weights: rest }));
  expect(missing).toMatchObject({ code: "MODEL-WEIGHT-MISSING", where: "model.layers.0.mlp.experts.2.w3.weight" });
  const wider = { ...part!, shape: [10, 64] };
  const wrong = await failure(() => loadModel({ config, weights: { ...rest, [expert(2, "w3")]: wider } }));
  expect([wrong.code, wrong.where]).toEqual(["MODEL-WEIGHT-SHAPE", expert(2, "w3")]);
});
