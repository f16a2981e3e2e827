import { describe, expect, test } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import type { FieldValue } from "../../src/methods/fields.ts";
import { type Method, methods } from "../../src/methods/index.ts";
import { associate } from "../../src/passes/associate.ts";
import { differentiate } from "../../src/passes/differentiate.ts";
import { difference, matrixOf, noise, plus, rowNorms, scale, type ToyOptions, times, toy } from "./helpers.ts";

const method = (name: string): Method => methods.get(name)!;

describe("fresh adapters", () => {
  /** Initial values by the end of the key. */
  function fresh(name: string, fields: Record<string, FieldValue>, seed = 1, options: ToyOptions = {}) {
    const t = toy(method(name), fields, options);
    const graph = t.elaboration.initialGraph((builder, site) => ({
      weight: builder.dense(builder.port("W", "weight", "f32", [site.out, site.in])),
    }));
    const values = evaluate(associate(graph, { train: false }).graph, { W: t.ports.W!, seed: [seed] });
    return {
      t,
      values: (end: string) => [...values[t.elaboration.tensors.find((x) => x.key.endsWith(end))!.key]!.data],
    };
  }
  const largest = (xs: number[]) => Math.max(...xs.map(Math.abs));
  const deviation = (xs: number[]) => Math.sqrt(xs.reduce((s, x) => s + x * x, 0) / xs.length);

  test("LoRA: A uniform within 1 / sqrt(in), B zero", () => {
    const { values } = fresh("LORA", { r: 64 }, 1, { in: 64, out: 4 });
    const A = values("lora_A.weight");
    expect(largest(A)).toBeLessThanOrEqual(1 / 8);
    expect(deviation(A)).toBeCloseTo(1 / 8 / Math.sqrt(3), 2);
    expect(values("lora_B.weight").every((x) => x === 0)).toBe(true);
    expect(fresh("LORA", { r: 64 }, 2, { in: 64, out: 4 }).values("lora_A.weight")).not.toEqual(A);
    expect(fresh("LORA", { r: 64 }, 1, { in: 64, out: 4 }).values("lora_A.weight")).toEqual(A);
  });

  test("LoRA: gaussian A has deviation 1 / r; init false makes B random", () => {
    const gaussian = fresh("LORA", { r: 16, init_lora_weights: "gaussian" }, 1, { in: 256, out: 4 }).values(
      "lora_A.weight",
    );
    expect(deviation(gaussian)).toBeCloseTo(1 / 16, 2);
    expect(gaussian.reduce((a, b) => a + b, 0) / gaussian.length).toBeCloseTo(0, 2);
    const B = fresh("LORA", { r: 16, init_lora_weights: false }).values("lora_B.weight");
    expect(largest(B)).toBeLessThanOrEqual(0.25);
    expect(largest(B)).toBeGreaterThan(0.2);
  });

  test("DoRA: the magnitude begins as the row norms of W + s B A", () => {
    const plain = fresh("LORA", { r: 4, use_dora: true });
    expect(difference([plain.values("lora_magnitude_vector")], [rowNorms(plain.t.W)])).toBeLessThan(1e-12);
    const { t, values } = fresh("LORA", { r: 4, use_dora: true, init_lora_weights: false });
    const delta = times(matrixOf(values("lora_B.weight"), 4), matrixOf(values("lora_A.weight"), 12));
    expect(difference([values("lora_magnitude_vector")], [rowNorms(plus(t.W, scale(2, delta)))])).toBeLessThan(1e-12);
  });

  test("the others begin as PEFT has them", () => {
    expect(fresh("OFT", { oft_block_size: 4 }).values("oft_R.weight")).toEqual(new Array(18).fill(0));
    expect(
      deviation(fresh("OFT", { oft_block_size: 64, init_weights: false }, 1, { in: 64 }).values("oft_R.weight")),
    ).toBeCloseTo(0.1, 2);
    expect(fresh("BOFT", {}).values("boft_s")).toEqual(new Array(8).fill(1));
    expect(fresh("VERA", { r: 4 }).values("vera_lambda_d")).toEqual(new Array(4).fill(0.1));
    expect(fresh("VERA", { r: 4, init_weights: false }).values("vera_lambda_b")).toEqual(new Array(8).fill(1));
    expect(fresh("FOURIERFT", { n_frequency: 4, init_weights: true }).values("spectrum")).toEqual([0, 0, 0, 0]);
    expect(largest(fresh("FOURIERFT", { n_frequency: 40 }).values("spectrum"))).toBeGreaterThan(1);
    expect(fresh("IA3", { feedforward_modules: [] }).values("ia3_l")).toEqual(new Array(8).fill(1));
  });

  test("tensors of one site and of two sites are drawn apart", () => {
    const t = toy(method("LORA"), { r: 4, init_lora_weights: false }, { in: 8, out: 8, others: [{}] });
    const graph = t.elaboration.initialGraph((builder) => ({
      weight: builder.dense(builder.port("W", "weight", "f32", [8, 8])),
    }));
    const values = Object.values(evaluate(graph, { W: t.ports.W!, seed: [1] })).map((v) => v.data[0]);
    expect(new Set(values).size).toBe(4);
  });
});

test("gradients through the rotation are those of difference quotients, and read no scatter", () => {
  for (const use_cayley_neumann of [true, false]) {
    const t = toy(method("OFT"), { oft_block_size: 4, use_cayley_neumann }, { train: true });
    const builder = new Builder("loss");
    const ids: number[] = [];
    for (const node of t.graph.nodes)
      ids.push(
        builder.add(
          node.op,
          node.inputs.map((i) => ids[i]!),
          node.attributes,
        ),
      );
    const x = builder.port("x", "input", "f32", [3, 12]);
    const y = builder.apply(ids[t.graph.outputs[0]!.node]!, x);
    const loss = builder.sum(builder.mul(y, builder.add("sin", [y])), [0, 1]);
    const graph = differentiate(associate(builder.finish([{ name: "loss", node: loss }]), { train: true }).graph);
    expect(graph.nodes.some((node) => node.op === "scatter_add")).toBe(false);
    const key = t.elaboration.tensors[0]!.key;
    const at = (values: Float64Array) => evaluate(graph, { ...t.ports, x: noise(36, 99), [key]: values });
    const params = t.values("oft_R.weight");
    const gradient = at(params)[`grad.${key}`]!.data;
    for (const i of [0, 5, 6, 17]) {
      const moved = (by: number) => at(params.map((v, j) => (i === j ? v + by : v))).loss!.data[0]!;
      expect(gradient[i]).toBeCloseTo((moved(1e-5) - moved(-1e-5)) / 2e-5, 6);
    }
  }
});
