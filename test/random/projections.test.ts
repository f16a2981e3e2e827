import { describe, expect, test } from "vitest";
import { kaimingBound } from "../../src/methods/random/projections.ts";
import { torchGenerator, uniform } from "../../src/methods/random/torch.ts";
import { goldenJson, goldenTensors, valuesOf } from "../config/golden.ts";
import { fourierPositions, randloraProjections, shiraPositions, veraProjections } from "./peft-projections.ts";

const adapterOf = (name: string) => ({
  config: goldenJson(`init/${name}/adapter_config.json`),
  tensors: goldenTensors(`init/${name}/adapter_model.safetensors`),
});
const rounded = (values: Iterable<number>, digits = 9): number[] =>
  [...values].map((v) => Number(v.toPrecision(digits)));

test("bounds of kaiming_uniform_", () => {
  expect(kaimingBound(16, Math.sqrt(5))).toBeCloseTo(1 / 4, 15);
  expect(kaimingBound(16, 0)).toBeCloseTo(Math.sqrt(6) / 4, 15);
});

describe("VeRA", () => {
  test.each(["llama-vera", "llama-vera-key5"])("%s", (name) => {
    const { config, tensors } = adapterOf(name);
    const A = tensors.get("base_model.vera_A")!;
    const B = tensors.get("base_model.vera_B")!;
    const made = veraProjections(config.projection_prng_key as number, A.shape[0]!, A.shape[1]!, B.shape[0]!);
    expect([...made.A]).toEqual(valuesOf(A));
    expect([...made.B]).toEqual(valuesOf(B));
  });

  test("rounding the product by itself, the control, is wrong in many places", () => {
    const A = valuesOf(adapterOf("llama-vera").tensors.get("base_model.vera_A")!);
    const bound = Math.fround(kaimingBound(48, 0));
    const twice = uniform(torchGenerator(0), A.length).map((u) => Math.fround(u * 2 * bound) - bound);
    expect(twice.filter((value, i) => value !== A[i]).length).toBeGreaterThan(A.length / 10);
  });

  test("values of the specification", () => {
    const { A, B } = veraProjections(0, 4, 16, 24);
    expect(rounded(A.subarray(0, 4))).toEqual([-0.00458472269, 0.328503281, -0.504010201, -0.450668782]);
    expect(rounded([A[63]!, B[95]!])).toEqual([0.185002059, -0.496600538]);
    expect(rounded(B.subarray(0, 4))).toEqual([0.672350705, -0.15458408, 0.0467626527, 0.283779174]);
  });
});

describe("RandLoRA", () => {
  test.each(["llama-randlora", "llama-randlora-sparse", "llama-randlora-verysparse"])("%s", (name) => {
    const { config, tensors } = adapterOf(name);
    const A = tensors.get("base_model.randlora_A")!;
    const B = tensors.get("base_model.randlora_B")!;
    const kind = config.very_sparse ? "very_sparse" : config.sparse ? "sparse" : "dense";
    const shape = { rank: A.shape[0]!, smaller: A.shape[2]!, larger: B.shape[0]! };
    const made = randloraProjections(config.projection_prng_key as number, shape, kind);
    expect(made.bases).toBe(B.shape[1]);
    expect([...made.A]).toEqual(valuesOf(A));
    expect([...made.B]).toEqual(valuesOf(B));
  });

  test("values of the specification", () => {
    const { A, B } = randloraProjections(0, { rank: 4, smaller: 16, larger: 24 }, "dense");
    expect([...A.subarray(0, 4)]).toEqual([-0.01312255859375, 0.9375, -1.4453125, -1.2890625]);
    expect([...B.subarray(0, 4)]).toEqual([0.9453125, -0.216796875, 0.0654296875, 0.3984375]);
    expect([...B.subarray(4, 7)]).toEqual([-0.330078125, -0.337890625, -1.546875]);
  });
});

describe("FourierFT", () => {
  const shapes: Record<string, [number, number]> = { down_proj: [32, 48], q_proj: [32, 32], v_proj: [16, 32] };
  test.each(["llama-fourierft", "llama-fourierft-zero"])("%s", (name) => {
    const { config } = adapterOf(name);
    for (const [key, indices] of goldenTensors(`init/${name}/indices.safetensors`)) {
      const [out, in_] = shapes[key.split(".").at(-2)!]!;
      const made = fourierPositions(config.random_loc_seed as number, out, in_, indices.shape[1]!);
      expect([...made.rows, ...made.columns]).toEqual(valuesOf(indices));
    }
  });

  test("values of the specification", () => {
    const { rows, columns } = fourierPositions(777, 24, 16, 6);
    expect([...rows]).toEqual([22, 12, 6, 0, 9, 11]);
    expect([...columns]).toEqual([7, 0, 3, 0, 15, 13]);
  });
});

describe("SHiRA", () => {
  test("values of the specification", () => {
    expect([...shiraPositions(null, 24, 16, 1)].slice(0, 8)).toEqual([6, 10, 12, 42, 45, 55, 69, 97]);
    expect([...shiraPositions(0, 24, 16, 1)].slice(0, 8)).toEqual([1, 4, 5, 24, 39, 44, 51, 74]);
    expect(shiraPositions(0, 24, 16, 1)).toHaveLength(40);
  });

  test.each(["llama-shira", "llama-shira-seed0"])("%s", (name) => {
    const { config, tensors } = adapterOf(name);
    const key = "base_model.model.model.layers.1.self_attn.v_proj.shira_indices";
    const indices = tensors.get(key)!;
    const flat = valuesOf(indices);
    const count = indices.shape[1]!;
    const expected = Array.from({ length: count }, (_, k) => flat[k]! * 32 + flat[count + k]!);
    const made = shiraPositions(config.random_seed as number | null, 16, 32, config.r as number);
    expect([...made]).toEqual(expected);
  });

  test("a rank beyond the weight's size is refused", () => {
    expect(() => shiraPositions(0, 12, 8, 32)).toThrow("The set rank 32 results in more shira params than the total");
  });
});
