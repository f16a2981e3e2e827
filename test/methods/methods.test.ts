import { expect, test } from "vitest";
import { methods } from "../../src/methods/index.ts";
import {
  diagonal,
  difference,
  loweredWeight,
  matrixOf,
  plus,
  rowNorms,
  scale,
  type Toy,
  times,
  toy,
} from "./helpers.ts";

const method = (name: string) => methods.get(name)!;
const exact = 1e-10;

/** The oracle and the passes agree with a formula written here; a formula that is a little wrong does not. */
function expectWeight(t: Toy, wanted: ReturnType<Toy["weight"]>): void {
  expect(difference(t.weight(), wanted)).toBeLessThan(exact);
  expect(difference(loweredWeight(t), wanted)).toBeLessThan(exact);
  expect(difference(t.weight(), scale(1.0001, wanted))).toBeGreaterThan(exact);
}

function loraDelta(t: Toy, s: number) {
  const [A, B] = [matrixOf(t.values("lora_A.weight"), 12), matrixOf(t.values("lora_B.weight"), 4)];
  return scale(s, times(B, A));
}

test("LoRA: W + s B A, with and without rsLoRA", () => {
  for (const [use_rslora, s] of [
    [false, 10 / 4],
    [true, 10 / 2],
  ] as const) {
    const t = toy(method("LORA"), { r: 4, lora_alpha: 10, use_rslora });
    expectWeight(t, plus(t.W, loraDelta(t, s)));
    expect(t.bias()).toEqual(t.b);
  }
});

test("LoRA: keys and shapes are PEFT's", () => {
  const t = toy(method("LORA"), { r: 4, lora_bias: true });
  expect(t.elaboration.tensors).toEqual([
    expect.objectContaining({
      key: "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
      shape: [4, 12],
      role: "param",
      saved: true,
    }),
    expect.objectContaining({ key: "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", shape: [8, 4] }),
    expect.objectContaining({ key: "base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias", shape: [8] }),
  ]);
  const beta = t.values("lora_B.bias");
  expect(difference([t.bias()!], [t.b.map((x, i) => x + 2 * beta[i]!)])).toBeLessThan(exact);
});

test("LoRA: a trained bias makes one where the layer has none", () => {
  const without = toy(method("LORA"), { r: 4 }, { hasBias: false });
  expect(without.bias()).toBeUndefined();
  const made = toy(method("LORA"), { r: 4, lora_bias: true, lora_alpha: 4 }, { hasBias: false });
  expect(made.bias()).toEqual([...made.values("lora_B.bias")]);
});

test("DoRA: rows of W + s B A scaled to their magnitude", () => {
  const t = toy(method("LORA"), { r: 4, use_dora: true });
  const V = plus(t.W, loraDelta(t, 2));
  const norms = rowNorms(V);
  const magnitude = t.values("lora_magnitude_vector");
  expectWeight(t, times(diagonal(norms.map((n, i) => magnitude[i]! / n)), V));
});

test("IA3: scales the output with its bias, or the input", () => {
  const output = toy(method("IA3"), { feedforward_modules: [] });
  const l = output.values("ia3_l");
  expectWeight(output, times(diagonal(l), output.W));
  expect(difference([output.bias()!], [output.b.map((x, i) => x * l[i]!)])).toBeLessThan(exact);
  expect(output.elaboration.tensors[0]!.shape).toEqual([8, 1]);
  const input = toy(method("IA3"), { feedforward_modules: ["down_proj", "_proj"] });
  expectWeight(input, times(input.W, diagonal(input.values("ia3_l"))));
  expect(input.bias()).toEqual(input.b);
  expect(input.elaboration.tensors[0]!.shape).toEqual([1, 12]);
});
