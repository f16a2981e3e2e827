/** One linear layer of 8 inputs and 12 outputs whose inputs are formulas; the numbers are PEFT's (0.21.2, f32). */
import { expect, test } from "vitest";
import { methods } from "../../src/methods/index.ts";
import { matrixOf, type Toy, type ToyOptions, toy } from "./helpers.ts";

const [inputs, outputs, rows] = [8, 12, 3];
const filled = (count: number, f: (k: number) => number): Float64Array =>
  Float64Array.from({ length: count }, (_unused, k) => Math.fround(f(k)));
const x = matrixOf(
  filled(rows * inputs, (k) => Math.sin(0.7 * k + 0.3)),
  inputs,
);
const W = filled(outputs * inputs, (k) => 0.8 * Math.sin(0.37 * k + 0.5));
const b = filled(outputs, (k) => 0.5 * Math.sin(0.9 * k + 0.2));

/** Values of adapter tensor number j. */
const fill = (count: number, j: number, offset: number): Float64Array =>
  filled(count, (k) => offset + 0.3 * Math.sin((0.61 + 0.05 * j) * k + 0.1 * (j + 1)));

interface MiniCase {
  readonly method: string;
  readonly fields: Parameters<typeof toy>[1];
  /** Ends of the trained tensors' keys, in the order in which they are filled. */
  readonly tensors: readonly string[];
  /** The first four outputs of row 0, the last of the last row, the sum of all. */
  readonly wanted: readonly number[];
}

const row = (method: string, fields: MiniCase["fields"], tensors: string, ...wanted: number[]): MiniCase => ({
  method,
  fields,
  tensors: tensors.split(" "),
  wanted,
});

const cases: readonly MiniCase[] = [
  row("OFT", { oft_block_size: 4 }, "R.weight", 0.131716, 0.642218, 0.035504, 0.747516, -0.83709, 2.56917),
  row("BOFT", {}, "boft_R boft_s", 1.605398, -0.798666, 1.19917, -0.021345, -0.438488, 7.38093),
  row("VERA", { r: 3 }, "lambda_b lambda_d", 1.331418, -0.273965, 0.822689, 0.531958, -0.461427, 8.29022),
  row("FOURIERFT", { n_frequency: 5 }, "spectrum", 1.719233, 1.695074, 3.472072, 1.580588, -2.549409, 7.08629),
  row("MISS", { r: 3 }, "miss_block", 1.436834, -0.264732, 0.653389, 0.329371, -0.399966, 7.83171),
  row("BONE", { r: 3 }, "bone_block", 1.436834, -0.264732, 0.653389, 0.329371, -0.399966, 7.83171),
  row("MISS", { r: 4, init_weights: "bat" }, "block", 1.479447, -0.226147, 0.445597, 0.73303, -0.773906, 7.78173),
  row("BONE", { r: 4, init_weights: "bat" }, "block", 1.479447, -0.226147, 0.445597, 0.73303, -0.773906, 7.78173),
  row(
    "MISS",
    { r: 3, mini_r: 4, init_weights: "mini" },
    "block",
    ...[1.233131, -0.377342, 0.672492, 0.473295, -0.399097, 4.66338],
  ),
  row("HRA", { r: 3 }, "hra_u", 1.340593, -0.302648, 0.685287, 0.414184, -0.374635, 7.25947),
  row("HRA", { r: 2, apply_GS: true }, "hra_u", 1.466369, -0.403214, 0.757336, 0.373021, -0.526119, 7.54848),
  row("LORA", { r: 2 }, "A.weight B.weight", 1.061945, 0.407589, 1.317956, 0.021657, 0.37643, 12.89133),
  row("LOHA", { r: 2 }, "w1_a w1_b w2_a w2_b", 1.358505, -0.259895, 0.680918, 0.459758, -0.555599, 7.18687),
  row("LOKR", { r: 1 }, "w1 w2_a w2_b", 1.295473, -0.485627, 0.443455, 0.220377, -0.515221, 8.67008),
  row("DELORA", { r: 2 }, "_A _B _lambda", 1.327613, -0.27097, 0.715485, 0.401179, -0.499793, 7.37028),
  row("GRALORA", { r: 4 }, "_A _B", 1.300786, -0.202335, 0.88574, 0.635887, -0.510784, 8.86391),
  row("ROAD", { group_size: 4 }, "alpha theta", 1.339106, -0.465795, 0.785431, 0.404848, -0.503576, 5.14373),
  row(
    "RANDLORA",
    { r: 3, randlora_alpha: 6 },
    "gamma lambda",
    1.407961,
    0.493777,
    0.062204,
    -0.118221,
    -0.333528,
    4.41349,
  ),
  row(
    "RANDLORA",
    { r: 3, randlora_alpha: 6, sparse: true },
    "gamma lambda",
    2.094876,
    -0.488174,
    0.505292,
    -0.123729,
    -0.187287,
    4.88708,
  ),
  row(
    "RANDLORA",
    { r: 3, randlora_alpha: 6, very_sparse: true },
    "gamma lambda",
    1.997401,
    -0.378945,
    0.519848,
    -0.081795,
    -0.216615,
    4.79383,
  ),
  row("SHIRA", { r: 1, random_seed: 5 }, "shira_weight", 1.512655, -0.303255, 0.545471, 0.589289, -0.578418, 5.081),
  row(
    "VBLORA",
    { r: 2, num_vectors: 6, vector_length: 4 },
    "logits_A logits_B bank",
    1.341165,
    -0.305938,
    0.681839,
    0.417454,
    -0.546203,
    7.10607,
  ),
  row(
    "VBLORA",
    { r: 2, num_vectors: 6, vector_length: 4, topk: 3 },
    "logits_A logits_B bank",
    1.354697,
    -0.284297,
    0.70113,
    0.425071,
    -0.533885,
    7.06432,
  ),
  row("C3A", { block_size: 4 }, "c3a_kernel", 1.478228, -0.235892, 0.744533, 0.521935, -0.489225, 6.49304),
  row("WAVEFT", { n_frequency: 5 }, "spectrum", 1.143622, -0.502914, -3.865155, 4.96668, -0.546941, 8.36496),
  row(
    "ADALORA",
    { init_r: 2, total_step: 9 },
    "lora_A lora_B lora_E",
    1.229241,
    -0.336653,
    0.781255,
    0.499506,
    -0.409303,
    7.7445,
  ),
  row("HIRA", { r: 2 }, "_A _B", 1.322838, -0.410792, 0.762426, 0.478956, -0.539566, 6.98413),
];

const ones = new Set(["boft_s", "alpha"]);

function filledToy({ method, fields, tensors }: MiniCase, options: ToyOptions = {}): Toy {
  const t = toy(methods.get(method)!, fields, { in: inputs, out: outputs, ...options });
  Object.assign(t.ports, { W, b });
  tensors.forEach((name, j) => {
    const { key, shape } = t.elaboration.tensors.find((tensor) => tensor.key.endsWith(name))!;
    const count = shape.reduce((p, n) => p * n, 1);
    t.ports[key] = fill(count, j, ones.has(name) ? 1 : 0);
  });
  const norms = t.elaboration.tensors.find(({ key }) => key.endsWith("delora_w_norm"));
  if (norms !== undefined)
    t.ports[norms.key] = filled(inputs, (q) => Math.hypot(...matrixOf(W, inputs).map((r) => r[q]!)));
  return t;
}

test.each(cases)("$method $fields", (mini) => {
  const t = filledToy(mini);
  const [weight, bias] = [t.weight(), t.bias()!];
  const y = x.map((vector) => weight.map((w, o) => w.reduce((sum, value, q) => sum + value * vector[q]!, bias[o]!)));
  const got = [...y[0]!.slice(0, 4), y[rows - 1]![outputs - 1]!, y.flat().reduce((a, c) => a + c)];
  expect(mini.tensors).toHaveLength(t.elaboration.tensors.filter(({ role }) => role === "param").length);
  const tolerances = [2e-6, 2e-6, 2e-6, 2e-6, 2e-6, 2e-5];
  got.forEach((value, i) => {
    expect(Math.abs(value - mini.wanted[i]!), `number ${i} of ${got}`).toBeLessThan(tolerances[i]! * 2);
  });
});
