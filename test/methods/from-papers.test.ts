/** Five methods that webpeft does not bring, written from the formulas of their papers: they compile, train and merge as plain matrices say. */
import { describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { parseMethod } from "../../src/methods/index.ts";
import { referenceExecutor } from "../../src/runtime/executors/reference.ts";
import { baseModel } from "../golden/helpers.ts";
import { difference, loweredWeight, type Matrix, make, matrixOf, plus, T, type Toy, times, toy } from "./helpers.ts";

interface Case {
  readonly text: string;
  readonly fields?: Readonly<Record<string, number | readonly number[]>>;
  /** The weight by the paper's formula. */
  readonly weight: (t: Toy) => Matrix;
}

const values = (t: Toy, name: string, columns: number): Matrix => matrixOf(t.values(name), columns);
const kron = (a: Matrix, b: Matrix): Matrix =>
  make(a.length * b.length, a[0]!.length * b[0]!.length, (i, j) => {
    const [rows, columns] = [b.length, b[0]!.length];
    return a[Math.floor(i / rows)]![Math.floor(j / columns)]! * b[i % rows]![j % columns]!;
  });
const entries = (a: Matrix, f: (x: number, i: number, j: number) => number): Matrix =>
  a.map((line, i) => line.map((x, j) => f(x, i, j)));

/** Sizes of the toy's layer: 12 inputs, 8 outputs. */
const cases: Readonly<Record<string, Case>> = {
  // KronA, arXiv 2212.10650: W' = W + s A (x) B
  krona: {
    text: `method krona on linear {
  W' = W + s * kron(A, B);
  param A[a1, a2] = zeros at "krona_A";
  param B[out / a1, in / a2] = kaiming_uniform at "krona_B";
  config a1: int = 2 (above: 0) "rows of A", a2: int = 3 (above: 0) "columns of A", s: float = 2 "scale";
  require divides(a1, out) and divides(a2, in) else "A does not divide the weight.";
}`,
    weight: (t) =>
      plus(
        t.W,
        entries(kron(values(t, "krona_A", 3), values(t, "krona_B", 4)), (x) => 2 * x),
      ),
  },
  // DEFT, arXiv 2503.12982: W' = (I - P) W + Q R, P the projection on what R spans
  deft: {
    text: `method deft on linear {
  W' = W - P @ W + Q @ R;
  let P = Q @ inverse(Q.T @ Q + 1e-6 * identity(r)) @ Q.T;
  param Q[out, r] = normal(0, 0.02) at "deft_Q";
  param R[r, in] = Q.T @ W0 at "deft_R";
  config r: int = 2 (above: 0) "rank";
}`,
    weight: (t) => {
      const [Q, R] = [values(t, "deft_Q", 2), values(t, "deft_R", 12)];
      const [[a, b], [c, d]] = times(T(Q), Q) as [[number, number], [number, number]];
      const [p, q] = [a + 1e-6, d + 1e-6];
      const G = entries(
        [
          [q, -b],
          [-c, p],
        ],
        (x) => x / (p * q - b * c),
      );
      const P = times(Q, G, T(Q));
      return plus(
        t.W,
        entries(times(P, t.W), (x) => -x),
        times(Q, R),
      );
    },
  },
  // GLoRA, arXiv 2306.07967: W' = W + W A + B, b' = b + D b + E + W C
  glora: {
    text: `method glora on linear {
  W' = W + W .* A + B;
  b' = b + D .* b + E + W0 @ flatten(C);
  let A = A_up @ A_down, B = B_up @ B_down;
  param A_up[out, r] = zeros at "A_up";
  param A_down[r, in] = kaiming_uniform at "A_down";
  param B_up[out, r] = zeros at "B_up";
  param B_down[r, in] = kaiming_uniform at "B_down";
  param C[in, 1] = zeros at "C";
  param D[out] = zeros at "D";
  param E[out] = zeros at "E";
  config r: int = 2 (above: 0) "rank of A and B";
}`,
    weight: (t) => {
      const A = times(values(t, "A_up", 2), values(t, "A_down", 12));
      const B = times(values(t, "B_up", 2), values(t, "B_down", 12));
      return plus(
        t.W,
        entries(t.W, (x, i, j) => x * A[i]![j]!),
        B,
      );
    },
  },
  // LoRETTA, arXiv 2402.11417: W' = W + s U V, both factors trains of small cores
  loretta: {
    text: `method loretta on linear {
  W' = W + s * U @ V;
  let V = reshape(iterate(k: 1 .. n, x: reshape(G[0], [m[0], t]),
    reshape(einsum("at,tmu->amu", x, G[k]), [size(x, 0) * m[k], k == n - 1 ? 1 : t])), [r, in]);
  let U = reshape(iterate(k: 1 .. p, x: reshape(H[0], [q[0], t]),
    reshape(einsum("at,tmu->amu", x, H[k]), [size(x, 0) * q[k], k == p - 1 ? 1 : t])), [out, r]);
  param G[k == 0 ? 1 : t, m[k], k == n - 1 ? 1 : t] for k: 0 .. n = normal(0, 0.5) at "G.{k}";
  param H[k == 0 ? 1 : t, q[k], k == p - 1 ? 1 : t] for k: 0 .. p = normal(0, 0.5) at "H.{k}";
  config r: int = 2 (above: 0) "rank", t: int = 3 (above: 0) "rank of the trains", s: float = 1 "scale",
         m: int_list = [2, 3, 4] "extents of V's cores: r in", q: int_list = [4, 2, 2] "extents of U's cores: out r";
  let n = size(m), p = size(q);
}`,
    weight: (t) => {
      const train = (name: string, extents: readonly number[], columns: number): Matrix => {
        let made: Matrix = [[1]];
        extents.forEach((m, k) => {
          const last = k === extents.length - 1 ? 1 : 3;
          const core = t.values(`${name}.${k}`);
          const before = made;
          made = make(before.length * m, last, (row, u) =>
            before[Math.floor(row / m)]!.reduce((sum, x, s) => sum + x * core[(s * m + (row % m)) * last + u]!, 0),
          );
        });
        return matrixOf(made.flat(), columns);
      };
      return plus(t.W, times(train("H", [4, 2, 2], 2), train("G", [2, 3, 4], 12)));
    },
  },
  // PEANuT, arXiv 2410.01870: W' = W + f(W), f(W) = relu(... relu(W A) B_1 ...) C
  peanut: {
    text: `method peanut on linear {
  W' = W + s * iterate(k: 0 .. depth, x: W0 @ A, relu(x) @ B[k]) @ C;
  param A[in, r] = kaiming_uniform at "A";
  param B[r, r] for k: 0 .. depth = kaiming_uniform at "B.{k}";
  param C[r, in] = zeros at "C";
  config r: int = 3 (above: 0) "width of the network", depth: int = 2 (minimum: 1) "layers between", s: float = 1 "scale";
}`,
    weight: (t) => {
      const relu = (x: number): number => Math.max(x, 0);
      let x = times(t.W, values(t, ".A", 3));
      for (const k of [0, 1]) x = times(entries(x, relu), values(t, `B.${k}`, 3));
      return plus(t.W, times(x, values(t, ".C", 12)));
    },
  },
};

describe.each(Object.entries(cases))("%s", (name, { text, fields = {}, weight }) => {
  it("has the numbers of its formula", () => {
    const t = toy(parseMethod(text, name), fields);
    expect(difference(t.weight(), weight(t))).toBeLessThan(1e-5);
    expect(difference(loweredWeight(t), weight(t))).toBeLessThan(1e-5);
    expect(difference(t.weight(), t.W)).toBeGreaterThan(1e-3);
  });

  it("trains and merges", async () => {
    const model = await baseModel("qwen2");
    const width = model.config.hidden_size as number;
    const sizes = { loretta: { m: [2, 4, width / 4], q: [4, width / 4, 2] }, krona: { a1: 2, a2: 2 } }[name];
    const config = { target_modules: ["layers.0.self_attn.q_proj"], ...sizes };
    const program = await compile(model, config, { batch: 2, length: 4, method: text, methodFile: name });
    const session = await program.start({ device: referenceExecutor(), seed: 3 });
    const batch = { input_ids: [3, 9, 9, 40, 1, 2, 3, 4], labels: [1, 2, 3, 4, 5, 6, 7, 8] };
    const losses: number[] = [];
    for (let step = 0; step < 8; step++) losses.push((await session.step(batch, { lr: 1e-2 })).loss);
    expect(losses.at(-1)!).toBeLessThan(losses[0]!);
    const { logits } = await session.forward(batch);
    const merged = await compile(await session.merge(), null, { batch: 2, length: 4, mode: "infer" });
    const plain = await (await merged.start({ device: referenceExecutor() })).forward(batch);
    expect(Math.max(...logits!.map((x, i) => Math.abs(x - plain.logits![i]!)))).toBeLessThan(1e-3);
  });
});

it("b' of glora is its formula", () => {
  const t = toy(parseMethod(cases.glora!.text));
  const [C, D, E] = [".C", ".D", ".E"].map((name) => t.values(name)) as [Float64Array, Float64Array, Float64Array];
  const WC = times(t.W, T([[...C]])).flat();
  const wanted = t.b.map((x, i) => x + D[i]! * x + E[i]! + WC[i]!);
  expect(difference([t.bias()!], [wanted])).toBeLessThan(1e-5);
});
