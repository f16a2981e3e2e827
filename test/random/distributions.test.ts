import { expect, test } from "vitest";
import { drawInitial } from "../../src/methods/random/distributions.ts";

const stream = { seed: 42, site: 3, tensor: 1 };
const moments = (values: Float32Array): [number, number] => {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return [mean, Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length)];
};

test("constants", () => {
  expect([...drawInitial({ kind: "zeros" }, [2, 2], stream)]).toEqual([0, 0, 0, 0]);
  expect([...drawInitial({ kind: "ones" }, [3], stream)]).toEqual([1, 1, 1]);
  expect([...drawInitial({ kind: "fill", value: 0.5 }, [1, 2], stream)]).toEqual([0.5, 0.5]);
});

test("uniform: range, mean and spread", () => {
  const values = drawInitial({ kind: "uniform", low: -1, high: 3 }, [200, 100], stream);
  const [mean, spread] = moments(values);
  expect(Math.min(...values)).toBeGreaterThan(-1);
  expect(Math.max(...values)).toBeLessThan(3);
  expect(Math.abs(mean - 1)).toBeLessThan(0.03);
  expect(Math.abs(spread - 4 / Math.sqrt(12))).toBeLessThan(0.02);
});

test("kaiming_uniform takes its fan from the shape", () => {
  const values = drawInitial({ kind: "kaiming_uniform", a: Math.sqrt(5) }, [50, 64], stream);
  expect(Math.max(...values.map(Math.abs))).toBeGreaterThan(0.124);
  expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(0.125);
  const other = drawInitial({ kind: "kaiming_uniform", a: Math.sqrt(5), fanIn: 16 }, [50, 64], stream);
  expect(Math.max(...other.map(Math.abs))).toBeGreaterThan(0.24);
});

test("normal: mean, spread and share beyond two deviations", () => {
  const values = drawInitial({ kind: "normal", mean: 2, deviation: 0.5 }, [20_000], stream);
  const [mean, spread] = moments(values);
  expect(Math.abs(mean - 2)).toBeLessThan(0.015);
  expect(Math.abs(spread - 0.5)).toBeLessThan(0.01);
  const far = values.filter((value) => Math.abs(value - 2) > 1).length / values.length;
  expect(Math.abs(far - 0.0455)).toBeLessThan(0.006);
});

test("a value depends on seed, site and tensor, and on nothing else", () => {
  const uniform = { kind: "uniform", low: 0, high: 1 } as const;
  const base = drawInitial(uniform, [8], stream);
  expect([...drawInitial(uniform, [4, 4], stream)].slice(0, 8)).toEqual([...base]);
  for (const change of [{ seed: 43 }, { site: 4 }, { tensor: 2 }]) {
    expect([...drawInitial(uniform, [8], { ...stream, ...change })]).not.toEqual([...base]);
  }
});
