import { expect, test } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import { methods } from "../../src/methods/index.ts";
import {
  blockDiagonal,
  diagonal,
  difference,
  eye,
  loweredWeight,
  type Matrix,
  make,
  matrixOf,
  over,
  plus,
  rowNorms,
  scale,
  T,
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

/** Blocks of the rotation from packed rows, by the text of the spec. */
function skewBlocks(packed: ArrayLike<number>, k: number): Matrix[] {
  const p = (k * (k - 1)) / 2;
  return Array.from({ length: packed.length / p }, (_unused, g) => {
    const S = make(k, k, () => 0);
    let at = g * p;
    for (let i = 0; i < k; i++) {
      for (let j = i + 1; j < k; j++) {
        S[i]![j] = packed[at]!;
        S[j]![i] = -packed[at++]!;
      }
    }
    return S;
  });
}

const cayley = (S: Matrix): Matrix => over(plus(eye(S.length), scale(-1, S)), plus(eye(S.length), S));

function series(S: Matrix, terms: number): Matrix {
  if (terms === 1) return eye(S.length);
  if (terms === 2) return plus(eye(S.length), scale(2, S));
  const T = terms === 3 ? 4 : terms;
  let [power, sum] = [S, eye(S.length)];
  for (let i = 1; i <= T - 2; i++) {
    sum = plus(sum, scale(2, power));
    power = times(power, S);
  }
  return plus(sum, power);
}

test("OFT: W D^T with the series, however many terms", () => {
  for (let terms = 1; terms <= 9; terms++) {
    const t = toy(method("OFT"), { oft_block_size: 4, num_cayley_neumann_terms: terms });
    const D = blockDiagonal(skewBlocks(t.values("oft_R.weight"), 4).map((S) => series(S, terms)));
    expectWeight(t, times(t.W, T(D)));
  }
});

test("OFT: the exact map, shared blocks, and r as the number of blocks", () => {
  const exactly = toy(method("OFT"), { oft_block_size: 6, use_cayley_neumann: false });
  expectWeight(exactly, times(exactly.W, T(blockDiagonal(skewBlocks(exactly.values("oft_R.weight"), 6).map(cayley)))));
  const shared = toy(method("OFT"), { oft_block_size: 4, block_share: true });
  const [block] = skewBlocks(shared.values("oft_R.weight"), 4).map((S) => series(S, 5));
  expect(shared.elaboration.tensors[0]!.shape).toEqual([1, 6]);
  expectWeight(shared, times(shared.W, T(blockDiagonal([block!, block!, block!]))));
  expect(toy(method("OFT"), { r: 4, oft_block_size: 0 }).elaboration.tensors[0]!.shape).toEqual([4, 3]);
});

function ball(packed: Float64Array, rows: number, eps: number): number[] {
  const p = packed.length / rows;
  const radius = eps / Math.sqrt(rows);
  return [...packed].map((x, i) => {
    const row = packed.subarray(Math.floor(i / p) * p, Math.floor(i / p) * p + p);
    return x * Math.min(1, radius / (Math.sqrt(2) * Math.hypot(...row)));
  });
}

test("constrained OFT: projected by a stage of its own in training, on a copy otherwise", () => {
  const fields = { oft_block_size: 4, coft: true, eps: 0.9 };
  const t = toy(method("OFT"), fields);
  const wanted = ball(t.values("oft_R.weight"), 3, 0.9);
  const rotation = (packed: ArrayLike<number>) => T(blockDiagonal(skewBlocks(packed, 4).map((S) => series(S, 5))));
  expectWeight(t, times(t.W, rotation(wanted)));
  const training = toy(method("OFT"), fields, { train: true });
  expectWeight(training, times(training.W, rotation(training.values("oft_R.weight"))));
  const stage = t.elaboration.projectionGraph()!;
  const [name] = stage.outputs.map((output) => output.name);
  expect(name).toBe(t.elaboration.tensors[0]!.key);
  expect(difference([[...evaluate(stage, t.ports)[name!]!.data]], [wanted])).toBeLessThan(exact);
  expect(t.elaboration.tensors[0]!.project).toBe(true);
  expect(toy(method("OFT"), { oft_block_size: 4 }).elaboration.projectionGraph()).toBeUndefined();
  const wide = evaluate(toy(method("OFT"), { ...fields, eps: 100 }).elaboration.projectionGraph()!, t.ports)[name!]!;
  expect(wide.data).toEqual(t.values("oft_R.weight"));
});

/** perm_i of the spec, from its text. */
function butterfly(n: number, H: number, i: number): number[] {
  const [w, h, c] = [H * 2 ** i, H / 2, 2 ** (i + 1)];
  const e = (p: number): number => (p < c / 2 ? 2 * p : 2 * (p - c / 2) + 1);
  return Array.from({ length: n }, (_unused, row) => {
    const [q, p, t] = [Math.floor(row / w), Math.floor((row % w) / h), row % h];
    return w * q + h * e(p) + t;
  });
}

test("BOFT: diag(s) W G^T with one to three factors", () => {
  expect(butterfly(16, 4, 2)).toEqual([0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15]);
  for (const factors of [1, 2, 3]) {
    const t = toy(method("BOFT"), { boft_block_size: 4, boft_n_butterfly_factor: factors }, { in: 16 });
    const R = t.values("boft_R");
    let G = eye(16);
    for (let i = 0; i < factors; i++) {
      const blocks = Array.from({ length: 4 }, (_unused, b) => {
        const block = matrixOf(R, 4, (i * 4 + b) * 16, 4);
        return cayley(scale(0.5, plus(block, scale(-1, T(block)))));
      });
      const perm = butterfly(16, 4, i);
      const P = make(16, 16, (row, column) => (perm[row] === column ? 1 : 0));
      G = times(P, blockDiagonal(blocks), T(P), G);
    }
    expectWeight(t, times(diagonal(t.values("boft_s")), t.W, T(G)));
    expect(t.bias()).toEqual(t.b);
    expect(t.elaboration.tensors.map((x) => x.shape)).toEqual([
      [factors, 4, 4, 4],
      [8, 1],
    ]);
  }
});

test("BOFT with one factor and s = 1 is OFT with the exact map", () => {
  const boft = toy(method("BOFT"), { boft_block_size: 4 });
  const oft = toy(method("OFT"), { oft_block_size: 4, use_cayley_neumann: false });
  const packed = oft.values("oft_R.weight");
  boft.ports[boft.elaboration.tensors[0]!.key] = skewBlocks(packed, 4).flat(2);
  boft.ports[boft.elaboration.tensors[1]!.key] = new Float64Array(8).fill(1);
  expect(difference(boft.weight(), oft.weight())).toBeLessThan(exact);
  boft.ports[boft.elaboration.tensors[1]!.key] = new Float64Array(8).fill(1.01);
  expect(difference(boft.weight(), oft.weight())).toBeGreaterThan(exact);
});

test("VeRA: slices of shared matrices as wide as the widest sites", () => {
  const t = toy(
    method("VERA"),
    { r: 4 },
    {
      others: [
        { in: 20, out: 6 },
        { in: 10, out: 24 },
      ],
    },
  );
  const [A, B] = [matrixOf(t.values("vera_A"), 20), matrixOf(t.values("vera_B"), 4)];
  const sliced = times(
    diagonal(t.values("vera_lambda_b")),
    B.slice(0, 8),
    diagonal(t.values("vera_lambda_d")),
    A.map((row) => row.slice(0, 12)),
  );
  expectWeight(t, plus(t.W, sliced));
  expect(t.elaboration.tensors.slice(0, 2)).toEqual([
    expect.objectContaining({ key: "base_model.vera_A", shape: [4, 20], role: "buffer", saved: true }),
    expect.objectContaining({ key: "base_model.vera_B", shape: [24, 4], role: "buffer", saved: true }),
  ]);
});

test("VeRA: A and B are PyTorch's for the key, bit for bit", () => {
  const t = toy(method("VERA"), { r: 4 }, { in: 16, out: 24 });
  const [A, B] = [
    t.elaboration.notes.data.get("base_model.vera_A")!,
    t.elaboration.notes.data.get("base_model.vera_B")!,
  ];
  expect([...A.slice(0, 4)]).toEqual([-0.00458472269, 0.328503281, -0.504010201, -0.450668782].map(Math.fround));
  expect(A[63]).toBe(Math.fround(0.185002059));
  expect([...B.slice(0, 4)]).toEqual([0.672350705, -0.15458408, 0.0467626527, 0.283779174].map(Math.fround));
  expect(B[95]).toBe(Math.fround(-0.496600538));
  const unsaved = toy(method("VERA"), { r: 4, save_projection: false });
  expect(unsaved.elaboration.tensors[0]).toMatchObject({ key: "base_model.vera_A", saved: false });
  expect(unsaved.sink.diagnostics).toHaveLength(1);
});

test("VeRA with vectors of ones is LoRA with the same matrices", () => {
  const vera = toy(method("VERA"), { r: 4 });
  const lora = toy(method("LORA"), { r: 4, lora_alpha: 4 });
  const keys = vera.elaboration.tensors.map((tensor) => tensor.key);
  vera.ports[keys[2]!] = new Float64Array(8).fill(1);
  vera.ports[keys[3]!] = new Float64Array(4).fill(1);
  lora.ports[lora.elaboration.tensors[0]!.key] = vera.ports[keys[0]!]!;
  lora.ports[lora.elaboration.tensors[1]!.key] = vera.ports[keys[1]!]!;
  expect(difference(vera.weight(), lora.weight())).toBeLessThan(exact);
});

test("FourierFT: the sum of cosines at PyTorch's places", () => {
  const t = toy(method("FOURIERFT"), { n_frequency: 6, scaling: 40 }, { in: 16, out: 24 });
  const [u, v] = [
    [22, 12, 6, 0, 9, 11],
    [7, 0, 3, 0, 15, 13],
  ];
  const c = t.values("fourierft_spectrum");
  const delta = make(24, 16, (p, q) =>
    c.reduce((sum, x, k) => sum + x * Math.cos(2 * Math.PI * ((u[k]! * p) / 24 + (v[k]! * q) / 16)), 0),
  );
  expectWeight(t, plus(t.W, scale(40 / (24 * 16), delta)));
  expect([...t.elaboration.notes.data.values()].map((x) => [...x])).toEqual([u, v]);
});

test("FourierFT: sites of one size share their tables", () => {
  const t = toy(method("FOURIERFT"), { n_frequency: 6 }, { others: [{}, { in: 10 }] });
  const builder = new Builder("sites");
  for (const index of [0, 1, 2]) {
    const W = builder.dense(builder.port(`W${index}`, "weight", "f32", [8, index === 2 ? 10 : 12]));
    const scalar = builder.port("seed", "input", "u32", []);
    t.elaboration.site(index, builder, {
      weight: W,
      base: W,
      scalars: { seed: scalar, step: scalar, sampleOffset: scalar, pass: scalar, training: scalar },
    });
  }
  expect([...t.elaboration.notes.data.keys()]).toEqual([
    "fourierft.rows",
    "fourierft.columns",
    "fourierft.rows.1",
    "fourierft.columns.1",
  ]);
});
