/** ViT's patch embedding as a site: what may adapt it, and adapters that are made here. PEFT's numbers: the golden cases `vit-cls-*-patches*`. */
import { beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { referenceExecutor } from "../../src/runtime/executors/reference.ts";
import { loadModel, type Model } from "../../src/runtime/files/model.ts";
import { toFloat32 } from "../../src/runtime/files/tensor.ts";
import type { Session } from "../../src/runtime/session/session.ts";
import { golden } from "../golden/helpers.ts";
import { largestDifference } from "../runtime/differences.ts";

type Config = Readonly<Record<string, unknown>>;
const batch = { pixel_values: Float32Array.from({ length: 2 * 3 * 144 }, (_x, i) => Math.sin(i)), labels: [0, 2] };
const path = "vit.embeddings.patch_embeddings.projection";
const key = (end: string): string => `base_model.model.${path}.${end}`;

let model: Model;
beforeAll(async () => {
  model = await loadModel(golden("bases/vit-cls"));
});

async function start(config: Config | null, seed = 1, method?: string): Promise<Session> {
  const program = await compile(model, config, {
    ...{ mode: "infer", batch: 2, length: 1, strict: false },
    ...(method === undefined ? {} : { method }),
  });
  return program.start({ device: referenceExecutor(), seed });
}
const logits = async (session: Session): Promise<Float32Array> => (await session.forward(batch)).logits;
const on = (peft_type: string, more: Config = {}): Config => ({ peft_type, target_modules: ["projection"], ...more });

/** W' - W of the patch embedding. */
async function delta(session: Session): Promise<Float64Array> {
  const weight = `${path}.weight`;
  const [merged, base] = [await (await session.merge()).weights.read(weight), await model.weights.read(weight)];
  expect(merged.shape).toEqual(base.shape);
  const before = toFloat32(base);
  return Float64Array.from(toFloat32(merged), (x, i) => x - before[i]!);
}

describe("refused", () => {
  it.each([
    ["LOKR", {}],
    ["ADALORA", { total_step: 10 }],
    ["VERA", {}],
    ["MISS", { r: 4 }],
  ])("%s, whose form on convolutions is another or none", async (peftType, more) => {
    await expect(start(on(peftType, more))).rejects.toMatchObject({
      code: "CONFIG-TARGET-CONVOLUTION",
      message: expect.stringContaining(path),
    });
  });

  it("LoHa with use_effective_conv2d, which has further tensors", async () => {
    await expect(start(on("LOHA", { use_effective_conv2d: true }))).rejects.toMatchObject({
      code: "METHOD-CONSTRAINT",
    });
  });

  it("a norm's method", async () => {
    await expect(start(on("LN_TUNING"))).rejects.toMatchObject({ code: "METHOD-SITE" });
  });
});

it("is no linear layer for all-linear, as in PEFT", async () => {
  const { sites } = (await start({ peft_type: "LORA", r: 2, target_modules: "all-linear" })).program.adapter!;
  expect(sites).toContain("vit.layers.0.mlp.fc1");
  expect(sites).not.toContain(path);
});

it.each([
  ["LORA", { r: 2 }],
  ["LORA", { r: 2, use_dora: true }],
  ["HIRA", { r: 2 }],
  ["IA3", { feedforward_modules: [] }],
  ["IA3", { feedforward_modules: ["projection"] }],
  ["OFT", { oft_block_size: 4 }],
  ["BOFT", { boft_block_size: 4 }],
  ["HRA", { r: 2 }],
  ["LOHA", { r: 2 }],
])("a fresh %s adapter is the base: %j", async (peftType, more) => {
  const [got, want] = [await logits(await start(on(peftType, more))), await logits(await start(null))];
  expect(largestDifference(got, want)).toBeLessThan(1e-6);
});

it("a method of one's own adapts it like any linear layer", async () => {
  const text = `method m on linear { param v[in, 1] = ones at "v"; W' = W @ diag(v) * 2; b' = b; }`;
  const session = await start(on("M"), 1, text);
  const tensor = (await session.adapterTensors()).get(key("v"))!;
  expect(tensor.shape).toEqual([48, 1]);
  const base = toFloat32(await model.weights.read(`${path}.weight`));
  expect(largestDifference(await delta(session), Float64Array.from(base))).toBeLessThan(1e-6);
});

it("weighted combinations of LoRA and of IA3 keep the shapes of a convolution", async () => {
  const cases: [Config, Config, string, number[]][] = [
    [{ r: 2, init_lora_weights: false }, { r: 2, init_lora_weights: false }, "LORA", [4, 3, 4, 4]],
    [{ feedforward_modules: [], init_ia3_weights: false }, {}, "IA3", [1, 32, 1, 1]],
  ];
  for (const [first, second, peftType, shape] of cases) {
    const [one, two] = [await start(on(peftType, first), 1), await start(on(peftType, { ...first, ...second }), 2)];
    await one.load("two", Object.fromEntries(await two.files()));
    const deltas = [await delta(one), await delta(two)];
    const combination = peftType === "LORA" ? "cat" : "linear";
    await one.addWeighted(["default", "two"], [0.5, 0.5], "mean", { combination });
    await one.use("mean");
    const mean = deltas[0]!.map((x, i) => (x + deltas[1]![i]!) / 2);
    expect(largestDifference(await delta(one), mean)).toBeLessThan(1e-5);
    const end = peftType === "LORA" ? "lora_A.weight" : "ia3_l";
    expect((await one.adapterTensors()).get(key(end))!.shape).toEqual(shape);
  }
});
