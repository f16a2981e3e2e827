/** Methods on linear layers: variants against formulas written out, what is refused, and what training draws. */
import { describe, expect, test } from "vitest";
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import { methods } from "../../src/methods/index.ts";
import { kroneckerFactor } from "../../src/methods/peft/lokr.ts";
import { difference, eye, loweredWeight, make, matrixOf, plus, scale, T, type Toy, times, toy } from "./helpers.ts";

const method = (name: string) => methods.get(name)!;
const exact = 1e-10;

function expectWeight(t: Toy, wanted: ReturnType<Toy["weight"]>): void {
  expect(difference(t.weight(), wanted)).toBeLessThan(exact);
  expect(difference(loweredWeight(t), wanted)).toBeLessThan(exact);
  expect(difference(t.weight(), scale(1.0001, wanted))).toBeGreaterThan(exact);
}

/** Ends of the keys of the tensors, with shapes. */
const shapesOf = ({ elaboration }: Toy): Record<string, readonly number[]> =>
  Object.fromEntries(elaboration.tensors.map(({ key, shape }) => [key.slice(key.lastIndexOf(".") + 1), shape]));

describe("LoKr", () => {
  test("cuts widths as PEFT does", () => {
    expect([256, 128, 127, 12, 8].map((n) => kroneckerFactor(n, -1))).toEqual([16, 8, 1, 3, 2]);
    expect(
      [
        [128, 4],
        [128, 5],
        [12, 100],
      ].map(([n, wanted]) => kroneckerFactor(n!, wanted!)),
    ).toEqual([4, 4, 3]);
  });

  test("with whole and with cut factors", () => {
    const whole = toy(method("LOKR"), { r: 8 });
    expect(shapesOf(whole)).toEqual({ lokr_w1: [2, 3], lokr_w2: [4, 4] });
    const kron = (a: number[][], b: number[][]) =>
      make(8, 12, (i, j) => a[Math.floor(i / 4)]![Math.floor(j / 4)]! * b[i % 4]![j % 4]!);
    const [w1, w2] = [matrixOf(whole.values("w1"), 3), matrixOf(whole.values("w2"), 4)];
    expectWeight(whole, plus(whole.W, kron(w1, w2)));
    const cut = toy(method("LOKR"), { r: 1, alpha: 3, decompose_both: true });
    expect(shapesOf(cut)).toEqual({ lokr_w1_a: [2, 1], lokr_w1_b: [1, 3], lokr_w2_a: [4, 1], lokr_w2_b: [1, 4] });
    const low = (name: string, n: number) =>
      times(matrixOf(cut.values(`${name}_a`), 1), matrixOf(cut.values(`${name}_b`), n));
    expectWeight(cut, plus(cut.W, scale(3, kron(low("w1", 3), low("w2", 4)))));
  });
});

describe("HRA", () => {
  const reflection = (u: readonly number[]) => {
    const norm = u.reduce((sum, x) => sum + x * x, 0);
    return make(u.length, u.length, (i, j) => (i === j ? 1 : 0) - (2 * u[i]! * u[j]!) / norm);
  };

  test("is a chain of reflections, the last column first", () => {
    const t = toy(method("HRA"), { r: 3, init_weights: false });
    const columns = T(matrixOf(t.values("hra_u"), 3));
    expectWeight(t, times(t.W, ...columns.map(reflection)));
  });

  test("with Gram-Schmidt", () => {
    const t = toy(method("HRA"), { r: 3, apply_GS: true, init_weights: false });
    const basis: number[][] = [];
    for (const column of T(matrixOf(t.values("hra_u"), 3))) {
      const rest = basis.reduce((u, q) => {
        const along = q.reduce((sum, x, i) => sum + x * u[i]!, 0);
        return u.map((x, i) => x - along * q[i]!);
      }, column);
      const norm = Math.hypot(...rest);
      basis.push(rest.map((x) => x / norm));
    }
    const Q = T(basis);
    expectWeight(t, times(t.W, plus(eye(12), scale(-2, times(Q, T(Q))))));
  });
});

describe("RoAd", () => {
  test.each([
    ["road_2", 8],
    ["road_4", 16],
  ])("%s has angles of its own for every output", (variant, count) => {
    const t = toy(method("ROAD"), { variant, group_size: 4 });
    const [theta, alpha] = [t.values("theta"), t.values("alpha")];
    expect([theta.length, alpha.length]).toEqual([count, count]);
    const place = (o: number, second: boolean) =>
      variant === "road_2" ? o : 8 * Math.floor(o / 4) + (second ? 4 : 0) + (o % 4);
    const R = make(8, 8, (o, p) => {
      if (o === p) return alpha[place(o, false)]! * Math.cos(theta[place(o, false)]!);
      const partner = o % 4 < 2 ? o + 2 : o - 2;
      return p === partner ? (o % 4 < 2 ? -1 : 1) * alpha[place(o, true)]! * Math.sin(theta[place(o, true)]!) : 0;
    });
    expectWeight(t, times(R, t.W));
    expect(difference([t.bias()!], T(times(R, T([t.b]))))).toBeLessThan(exact);
  });
});

test("GraLoRA with a plain update beside the blocks", () => {
  const t = toy(method("GRALORA"), { r: 4, hybrid_r: 2, alpha: 3 });
  /** Two transposed blocks on the diagonal. */
  const blocks = (name: string, rows: number, columns: number) =>
    make(2 * columns, 2 * rows, (i, j) => {
      const block = Math.floor(i / columns);
      const at = block * rows * columns + (j % rows) * columns + (i % columns);
      return block === Math.floor(j / rows) ? t.values(name)[at]! : 0;
    });
  const shuffled = make(8, 8, (i, j) => (i === 4 * Math.floor((j % 4) / 2) + 2 * Math.floor(j / 4) + (j % 2) ? 1 : 0));
  const grid = times(blocks("gralora_B", 4, 4), shuffled, blocks("gralora_A", 6, 4));
  const plain = times(matrixOf(t.values("B_general.weight"), 2), matrixOf(t.values("A_general.weight"), 12));
  expectWeight(t, plus(t.W, scale(3 / 6, plus(grid, plain))));
});

test("WaveFT without the transform, and with shares by size", () => {
  const t = toy(method("WAVEFT"), { n_frequency: 5, use_idwt: false });
  const delta = plus(t.weight(), scale(-1, t.W));
  const kept = delta.flat().filter((x) => Math.abs(x) > 1e-12);
  const increasing = (xs: Iterable<number>) => [...xs].sort((a, b) => a - b);
  expect(difference([increasing(kept.map((x) => x / 25))], [increasing(t.values("spectrum"))])).toBeLessThan(1e-9);
  const odd = toy(method("WAVEFT"), { n_frequency: 7 }, { in: 5, out: 3 });
  expect(odd.weight()).toHaveLength(3);
  const others = [{ in: 24, out: 16 }];
  const shares = toy(method("WAVEFT"), { n_frequency: 10, proportional_parameters: true }, { others });
  expect(shares.elaboration.tensors.map(({ shape }) => shape)).toEqual([[4], [16]]);
});

describe("what training draws", () => {
  test("LoHa leaves rows out and scales the others by their share; evaluation keeps all", () => {
    const fields = { r: 2, rank_dropout: 0.5 };
    const whole = plus(toy(method("LOHA"), fields).weight(), scale(-1, toy(method("LOHA"), fields).W));
    const t = toy(method("LOHA"), fields, { train: true });
    const rows = plus(t.weight(), scale(-1, t.W));
    const kept = rows.filter((row) => row.some((x) => x !== 0)).length;
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThan(8);
    rows.forEach((row, o) => {
      const left = row.every((x) => Math.abs(x) < 1e-12);
      if (!left) expect(difference([row], [whole[o]!.map((x) => (x * 8) / kept)])).toBeLessThan(1e-9);
    });
  });

  test("LoKr leaves the whole update out as often as it is told", () => {
    const deltas = (module_dropout: number) =>
      difference(
        ...((["weight", "W"] as const).map((name) => {
          const t = toy(method("LOKR"), { r: 8, module_dropout }, { train: true });
          return name === "W" ? t.W : t.weight();
        }) as [number[][], number[][]]),
      );
    expect(deltas(0)).toBeGreaterThan(0.01);
    expect(deltas(1)).toBe(0);
  });
});

describe("what is refused", () => {
  const refused: readonly (readonly [string, Parameters<typeof toy>[1], string])[] = [
    ["LOKR", { init_weights: "other" }, "Unknown init_weights: other"],
    ["LOKR", { decompose_factor: 0 }, "decompose_factor must be -1 or above 0."],
    ["MISS", { r: 13 }, "`r` (13) must be less than or equal to in_features (12)"],
    ["MISS", { r: 5, init_weights: "bat" }, "The weight matrix must be fully divisible into [r, r] blocks."],
    ["MISS", { r: 4, init_weights: "mini", mini_r: 3 }, "mini_r (3) must divide out_features (8)."],
    ["MISS", { r: 4, init_weights: "other" }, "Unknown init_weights: other"],
    ["BONE", { r: 5, init_weights: "bat" }, "The weight matrix must be fully divisible into [r, r] blocks."],
    [
      "SHIRA",
      { r: 8 },
      "The set rank 8 results in more shira params than the total number of params in the base layer 96 and this is not allowed.",
    ],
    ["SHIRA", { r: 1, mask_type: "mine" }, "mask_type = mine needs the places of the entries."],
    ["VBLORA", { vector_length: 5 }, "`in_features` 12 must be divisible by `vector_length` 5"],
    ["VBLORA", { vector_length: 3 }, "`out_features` 8 must be divisible by `vector_length` 3"],
    ["VBLORA", { vector_length: 4, num_vectors: 2, topk: 3 }, "topk (3) must be at most num_vectors (2)."],
    [
      "C3A",
      { block_size: 5 },
      "The block size should be a factor of the input size. However, the input size is 12 and the block size is 5",
    ],
    [
      "C3A",
      { block_size: 3 },
      "The block size should be a factor of the output size. However, the output size is 8 and the block size is 3",
    ],
    ["C3A", { block_size: 4, init_weights: "zz" }, "Unknown init_weights: zz"],
    ["GRALORA", { r: 5, gralora_k: 2 }, "r should be divisible by gralora_k, but got 5 and 2"],
    ["GRALORA", { r: 5, gralora_k: 5 }, "in_features should be divisible by gralora_k, but got 12 and 5"],
    ["GRALORA", { r: 3, gralora_k: 3 }, "out_features should be divisible by gralora_k, but got 8 and 3"],
    ["ROAD", { group_size: 3 }, "The group_size must be divisible by 2 when using RoadLayer, but got 3."],
    [
      "ROAD",
      { group_size: 6 },
      "The out_features of the base layer must be divisible by group_size (6) when using RoadLayer.",
    ],
    ["WAVEFT", { wavelet_family: "db2" }, "Wavelet family db2 is not built. Supported wavelet families are: db1"],
    [
      "WAVEFT",
      { n_frequency: 97 },
      "`n_frequency` should be less than or equal to the product of the input and output dimensions but the value passed is 97 and the product is 96",
    ],
    ["HIRA", { init_weights: "other" }, "Unknown initialization init_weights=other"],
    ["ADALORA", {}, "AdaLoRA does not work when `total_step` is None, supply a value > 0."],
    ["ADALORA", { total_step: 0 }, "AdaLoRA does not work when `total_step` is None, supply a value > 0."],
    ["ADALORA", { total_step: 9, use_dora: true }, "ADALORA does not support DoRA."],
    [
      "ADALORA",
      { total_step: 9, tinit: 5, tfinal: 4 },
      "The supplied schedule values don't allow for a budgeting phase. Decrease `tfinal`/`tinit` or increase `total_step`.",
    ],
  ];

  test.each(refused)("%s %j", (name, fields, message) => {
    let error: unknown;
    try {
      toy(method(name), fields);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(WebpeftError);
    expect(error).toMatchObject({ code: "METHOD-CONSTRAINT", message });
  });

  test("ranges are in the declarations", () => {
    const field = (name: string, of: string) => method(name).fields.find((f) => f.name === of);
    for (const [name, of] of [
      ["LOHA", "r"],
      ["LOKR", "r"],
      ["HRA", "r"],
      ["MISS", "r"],
      ["BONE", "r"],
      ["RANDLORA", "r"],
      ["SHIRA", "r"],
      ["VBLORA", "topk"],
      ["C3A", "block_size"],
      ["DELORA", "r"],
      ["GRALORA", "r"],
      ["WAVEFT", "n_frequency"],
      ["HIRA", "r"],
    ] as const)
      expect(field(name, of), name).toMatchObject({ exclusiveMinimum: 0 });
    expect(field("ROAD", "variant")!.oneOf).toEqual(["road_1", "road_2", "road_4"]);
    expect(field("BONE", "r")).toMatchObject({ default: 64, seedDefault: 8 });
  });
});
