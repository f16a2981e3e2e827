import { describe, expect, test } from "vitest";
import { insideOut, longPermutation, randomPermutation } from "../../src/methods/random/permutation.ts";
import { torchGenerator, uniform, uniformBfloat16 } from "../../src/methods/random/torch.ts";
import { goldenTensors, valuesOf } from "../config/golden.ts";
import { normal } from "./randn.ts";

const golden = goldenTensors("init/torch-random.safetensors");
const generatorOf = (name: string) =>
  name.endsWith("unseeded") ? torchGenerator() : torchGenerator(Number(/seed(\d+)$/.exec(name)![1]));
const named = (prefix: string): string[] => [...golden.keys()].filter((name) => name.startsWith(prefix));
const raw = (seed: number | undefined, count: number): number[] => {
  const generator = torchGenerator(seed);
  return Array.from({ length: count }, () => generator.next());
};

describe("the engine", () => {
  test.each([
    [0, [2357136044, 2546248239, 3071714933, 3626093760]],
    [777, [655685735, 2776480559, 1298611771, 862112678]],
    [undefined, [2353294710, 1155489284, 4015379837, 3295095820]],
  ])("raw draws of seed %s", (seed, expected) => expect(raw(seed, 4)).toEqual(expected));

  test("only the low 32 bits of a seed count", () => {
    expect(raw(2 ** 32 + 5, 700)).toEqual(raw(5, 700));
    expect(raw(-1, 3)).toEqual(raw(2 ** 32 - 1, 3));
    expect(raw(4, 3)).not.toEqual(raw(5, 3));
    expect(uniform(torchGenerator(-1), 1)[0]).toBeCloseTo(0.9937993884, 9);
  });
});

describe("draws equal PyTorch's bit for bit", () => {
  test.each(named("rand."))("%s", (name) => {
    expect([...uniform(generatorOf(name), 1000)]).toEqual(valuesOf(golden.get(name)!));
  });
  test.each(named("uniform_-0.3"))("%s", (name) => {
    expect([...uniform(generatorOf(name), 1000, -0.3, 0.7)]).toEqual(valuesOf(golden.get(name)!));
  });
  test.each(named("uniform_bf16"))("%s", (name) => {
    expect([...uniformBfloat16(generatorOf(name), 1000, -0.3, 0.7)]).toEqual(valuesOf(golden.get(name)!));
  });
  test("bfloat16 values of the specification", () => {
    expect([...uniformBfloat16(torchGenerator(0), 4, -1, 1)]).toEqual([
      -0.007476806640625, 0.53515625, -0.82421875, -0.734375,
    ]);
  });
  test("a rounded bfloat16 never reaches the upper end", () => {
    const values = uniformBfloat16(torchGenerator(3), 100_000, 0, 1);
    expect(Math.max(...values.subarray(0, 50_000))).toBeLessThan(1);
    expect([...values].some((value) => value === 0)).toBe(true);
  });
});

describe("permutations", () => {
  test.each(named("randperm"))("%s, whole and every kind of prefix", (name) => {
    const expected = valuesOf(golden.get(name)!);
    for (const count of [0, 1, 7, expected.length - 1, expected.length]) {
      expect([...randomPermutation(generatorOf(name), expected.length, count)]).toEqual(expected.slice(0, count));
    }
  });

  test("the long algorithm keeps a prefix without the rest", () => {
    const whole = insideOut(torchGenerator(5), 500, 500);
    expect([...whole].sort((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, i) => i));
    expect([...insideOut(torchGenerator(5), 500, 20)]).toEqual([...whole.subarray(0, 20)]);
  });

  test("64-bit remainders equal BigInt's", () => {
    const generator = torchGenerator(9);
    const array: number[] = [];
    for (let i = 0; i < 300; i++) {
      const draw = BigInt(generator.next()) * 2n ** 32n + BigInt(generator.next());
      const place = Number(draw % BigInt(i + 1));
      array[i] = array[place] ?? 0;
      array[place] = i;
    }
    expect([...insideOut(torchGenerator(9), 300, 300)]).toEqual(array);
  });

  test("a prefix takes memory by its count, not by the length", () => {
    expect(randomPermutation(torchGenerator(1), longPermutation - 1, 1000)).toHaveLength(1000);
  });

  test.each([
    [5, 6],
    [5, -1],
    [-1, 0],
    [2.5, 1],
    [Number.NaN, 0],
    [2 ** 40, 1],
  ])("length %s, count %s is refused", (length, count) =>
    expect(() => randomPermutation(torchGenerator(0), length, count)).toThrow(/count/),
  );
});

test.each(named("randn"))("%s within f32 rounding of the functions", (name) => {
  const expected = valuesOf(golden.get(name)!);
  const got = normal(generatorOf(name), expected.length);
  const error = Math.max(...expected.map((value, i) => Math.abs(value - got[i]!)));
  expect(error).toBeLessThan(1e-6);
});
