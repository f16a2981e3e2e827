import { describe, expect, it } from "vitest";
import { evaluate } from "../../src/ir/evaluate.ts";
import { type Fed, feed } from "../../src/ir/run-inputs.ts";
import {
  accumulateGraph,
  adamWDefaults,
  biasCorrections,
  statusFields,
  updateGraph,
} from "../../src/passes/optimizer.ts";
import { layoutStorage, slotSize } from "../../src/passes/storage.ts";
import type { Executor } from "../../src/runtime/executors/executor.ts";
import { referenceExecutor } from "../../src/runtime/executors/reference.ts";
import { tfjsExecutor } from "../../src/runtime/executors/tfjs/executor.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { difference, generator, programOf } from "../runtime/executor-samples.ts";

interface State {
  p: number[];
  m: number[];
  v: number[];
}

interface Hyper {
  lr: number;
  weightDecay: number;
  maxNorm: number;
}

/** torch.optim.AdamW after torch.nn.utils.clip_grad_norm_, written as torch's documentation does, over a list of tensors. */
function adamW(states: State[], gradients: number[][], step: number, { lr, weightDecay, maxNorm }: Hyper): number {
  const norm = Math.sqrt(gradients.flat().reduce((sum, g) => sum + g * g, 0));
  const coefficient = maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1;
  const [b1, b2, eps] = [0.9, 0.999, 1e-8];
  states.forEach(({ p, m, v }, i) => {
    for (let j = 0; j < p.length; j++) {
      const g = gradients[i]![j]! * coefficient;
      p[j]! *= 1 - lr * weightDecay;
      m[j] = b1 * m[j]! + (1 - b1) * g;
      v[j] = b2 * v[j]! + (1 - b2) * g * g;
      const mHat = m[j]! / (1 - b1 ** (step + 1));
      const vHat = v[j]! / (1 - b2 ** (step + 1));
      p[j]! -= (lr * mHat) / (Math.sqrt(vHat) + eps);
    }
  });
  return norm;
}

const sizes = [70, 1, 64, 2500];
const tensors = sizes.map((size, i) => ({ key: `p${i}`, size }));

const given: Fed<"update"> = { lr: 0.1, bias1: 0.1, bias2: 0.03, weight_decay: 0.5, max_norm: 1 };

const numbers = (random: () => number, size: number, scale = 1): number[] =>
  Array.from({ length: size }, () => Math.fround((random() * 2 - 1) * scale));

/** Three updates by the graph and by the plain loop above; the largest differences of parameters and norms. */
async function compare(hyper: Hyper, executor: Executor, gradientScale: number, spoil = 0): Promise<number> {
  const random = generator(11);
  const storage = layoutStorage(tensors, [], { train: true });
  const size = storage.buffers.find((b) => b.name === "params")!.size;
  const states = sizes.map((n) => ({
    p: numbers(random, n),
    m: new Array<number>(n).fill(0),
    v: new Array<number>(n).fill(0),
  }));
  const first = new Map(states.map((state, i) => [`p${i}`, Float32Array.from(state.p)]));
  const instance = await executor.instantiate(programOf({ update: updateGraph(size) }, storage), first);
  let worst = 0;
  for (let step = 0; step < 3; step++) {
    const gradients = sizes.map((n) => numbers(random, n, gradientScale));
    gradients.forEach((g, i) => {
      instance.write(`grad.p${i}`, Float32Array.from(g));
    });
    instance.write("loss", Float32Array.of(1.5));
    const { bias1, bias2 } = biasCorrections(step);
    const { weightDecay: weight_decay, maxNorm: max_norm } = hyper;
    const inputs = feed({ lr: hyper.lr + spoil, bias1, bias2, weight_decay, max_norm } satisfies Fed<"update">);
    const { status } = await instance.run(["update"], inputs, ["status"]);
    const norm = adamW(states, gradients, step, hyper);
    expect(status![statusFields.loss]).toBe(1.5);
    expect(status![statusFields.finite]).toBe(1);
    expect(Math.abs(status![statusFields.gradNorm]! / norm - 1)).toBeLessThan(1e-6);
  }
  for (const [i, state] of states.entries()) worst = Math.max(worst, difference(await instance.read(`p${i}`), state.p));
  const gaps = await instance.read("params");
  expect(gaps[70]).toBe(0);
  expect(gaps.slice(129, 192).every((x) => x === 0)).toBe(true);
  instance.dispose();
  return worst;
}

describe("update", () => {
  const cases: [string, Hyper, number][] = [
    ["plain", { lr: 1e-2, weightDecay: 0, maxNorm: 0 }, 1],
    ["with weight decay", { lr: 1e-2, weightDecay: 0.1, maxNorm: 0 }, 1],
    ["clipped", { lr: 1e-2, weightDecay: 0.01, maxNorm: 0.5 }, 3],
    ["not clipped under the limit", { lr: 1e-2, weightDecay: 0.01, maxNorm: 1e4 }, 1],
    ["with gradients as small as epsilon", { lr: 1e-2, weightDecay: 0, maxNorm: 1 }, 1e-8],
  ];
  it.each(cases)("is torch's AdamW, %s", async (_name, hyper, scale) => {
    const exact = referenceExecutor({ storage: "f64" });
    expect(await compare(hyper, exact, scale)).toBeLessThan(2e-7);
    expect(await compare(hyper, await tfjsExecutor(), scale)).toBeLessThan(2e-6);
    expect(await compare(hyper, wasmExecutor(), scale)).toBeLessThan(2e-6);
    expect(await compare(hyper, exact, scale, 1e-5)).toBeGreaterThan(2e-6);
  });

  const scalars = feed(given);
  it.each([
    ["the loss", Number.NaN, 1],
    ["the loss, infinite", Number.POSITIVE_INFINITY, 1],
    ["a gradient", 2, Number.NaN],
    ["a gradient, infinite", 2, Number.NEGATIVE_INFINITY],
  ])("changes nothing when %s is not finite", async (_name, loss, gradient) => {
    for (const executor of [
      referenceExecutor(),
      await tfjsExecutor({ backend: "wasm" }),
      await tfjsExecutor({ backend: "cpu" }),
      wasmExecutor(),
    ]) {
      const storage = layoutStorage([{ key: "a", size: 3 }], [], { train: true });
      const first = new Map([
        ["a", Float32Array.of(1, 2, 3)],
        ["moment1", new Float32Array(64).fill(0.5)],
        ["moment2", new Float32Array(64).fill(0.25)],
      ]);
      const instance = await executor.instantiate(programOf({ update: updateGraph(64) }, storage), first);
      instance.write("grad.a", Float32Array.of(0.1, gradient, 0.2));
      instance.write("loss", Float32Array.of(loss));
      const { status } = await instance.run(["update"], scalars, ["status"]);
      expect(status![statusFields.finite]).toBe(0);
      expect([...(await instance.read("a"))]).toEqual([1, 2, 3]);
      expect([...(await instance.read("moment1"))]).toEqual(new Array(64).fill(0.5));
      expect([...(await instance.read("moment2"))]).toEqual(new Array(64).fill(0.25));
      instance.dispose();
    }
  });

  it.each([
    ["weight decay", { lr: [1e30], weight_decay: [1e30] }],
    ["the learning rate", { lr: [3e38], weight_decay: [0], bias2: [1] }],
    ["both together", { lr: [1e20], weight_decay: [3e18] }],
  ])("changes nothing when %s makes a parameter that is not finite", async (_name, hasty) => {
    for (const executor of [
      referenceExecutor(),
      await tfjsExecutor({ backend: "wasm" }),
      await tfjsExecutor({ backend: "cpu" }),
      wasmExecutor(),
    ]) {
      // More than one round of the sum, and the only parameter that overflows is the last.
      const size = 1300;
      const storage = layoutStorage([{ key: "a", size }], [], { train: true });
      const padded = storage.buffers.find((b) => b.name === "params")!.size;
      const a = Float32Array.from({ length: size }, (_unused, i) => (i === size - 1 ? 7 : 0));
      const instance = await executor.instantiate(
        programOf({ update: updateGraph(padded) }, storage),
        new Map([["a", a]]),
      );
      instance.write(
        "grad.a",
        Float32Array.from(a, (x) => -x),
      );
      instance.write("loss", Float32Array.of(2));
      const inputs = { ...scalars, max_norm: [0], ...hasty };
      const { status } = await instance.run(["update"], inputs, ["status"]);
      expect([...status!]).toEqual([2, 7, 0, 1]);
      expect(await instance.read("a")).toEqual(a);
      expect((await instance.read("moment1")).every((x) => x === 0)).toBe(true);
      expect((await instance.read("moment2")).every((x) => x === 0)).toBe(true);
      instance.dispose();
    }
  });

  it("decays a parameter whose gradient is zero", () => {
    const graph = updateGraph(64);
    const zeros = new Float64Array(64);
    const ports = {
      params: new Float64Array(64).fill(2),
      moment1: zeros,
      moment2: zeros,
      grads: new Float64Array(128),
      ...scalars,
    };
    expect(evaluate(graph, ports).params!.data[5]).toBeCloseTo(2 * (1 - 0.1 * 0.5), 12);
  });

  it("reads other betas", () => {
    const graph = updateGraph(64, { beta1: 0.5 });
    const zeros = new Float64Array(64);
    const ports = {
      params: zeros,
      moment1: zeros,
      moment2: zeros,
      grads: new Float64Array(128).fill(1),
      ...scalars,
      max_norm: [0],
    };
    expect(evaluate(graph, ports).moment1!.data[5]).toBeCloseTo(0.5, 12);
    expect(adamWDefaults.beta1).toBe(0.9);
  });

  it("sums a million squares in f32 within 1e-6", async () => {
    const size = 2 ** 20;
    const storage = layoutStorage([{ key: "a", size }], [], { train: true });
    const instance = await wasmExecutor().instantiate(programOf({ update: updateGraph(size) }, storage), new Map());
    const random = generator(5);
    const g = Float32Array.from({ length: size }, () => random() * 2 - 1);
    instance.write("grad.a", g);
    const { status } = await instance.run(["update"], scalars, ["status"]);
    const norm = Math.sqrt(g.reduce((sum, x) => sum + x * x, 0));
    expect(Math.abs(status![statusFields.gradNorm]! / norm - 1)).toBeLessThan(1e-6);
    instance.dispose();
  });
});

describe("accumulate", () => {
  it("starts with the first micro-batch, adds the others and the loss, and feeds the update", async () => {
    const storage = layoutStorage([{ key: "a", size: 3 }], [], { train: true, accumulate: true });
    const program = programOf(
      { accumulate: accumulateGraph(128), update: updateGraph(64, { accumulate: true }) },
      storage,
    );
    const instance = await referenceExecutor().instantiate(program, new Map());
    instance.write("grads_total", new Float32Array(128).fill(Number.NaN));
    for (let micro = 0; micro < 3; micro++) {
      instance.write("grad.a", Float32Array.of(1, 2, 2));
      instance.write("loss", Float32Array.of(0.25));
      await instance.run(["accumulate"], { first: [micro === 0 ? 1 : 0] });
    }
    expect([...(await instance.read("grads_total")).slice(0, 4)]).toEqual([3, 6, 6, 0]);
    expect([...(await instance.read("loss_total"))]).toEqual([0.75]);
    const inputs = feed({ ...given, weight_decay: 0, max_norm: 0 });
    const { status } = await instance.run(["update"], inputs, ["status"]);
    expect([...status!]).toEqual([0.75, 9, 1, 1]);
  });
});

describe("layoutStorage", () => {
  it("aligns every slice and covers every buffer", () => {
    const storage = layoutStorage(tensors, [{ key: "cos", size: 65 }], { train: true, accumulate: true });
    const sizeOfBuffer = Object.fromEntries(storage.buffers.map((b) => [b.name, b.size]));
    expect(sizeOfBuffer).toEqual({
      params: 2816,
      derived: 128,
      grads: 2880,
      moment1: 2816,
      moment2: 2816,
      status: slotSize,
      grads_total: 2880,
    });
    expect(storage.bindings.p1).toEqual({ buffer: "params", offset: 128, size: 1 });
    expect(storage.bindings["grad.p3"]).toEqual({ buffer: "grads", offset: 256, size: 2500 });
    expect(Object.values(storage.bindings).every((slice) => slice.offset % slotSize === 0)).toBe(true);
  });

  it("refuses a tensor that is given twice and names of buffers", () => {
    expect(() =>
      layoutStorage([
        { key: "a", size: 1 },
        { key: "a", size: 1 },
      ]),
    ).toThrow("a twice");
    expect(() => layoutStorage([{ key: "params", size: 1 }])).toThrow("name of a storage buffer");
  });
});
