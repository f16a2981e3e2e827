/** The truncated decomposition against matrices whose singular values are known. */
import { expect, it } from "vitest";
import { truncatedSvd } from "../../src/ir/svd.ts";

/** Entry i of cosine wave k: the waves are orthonormal. */
const wave = (n: number, k: number, i: number): number =>
  Math.sqrt((k === 0 ? 1 : 2) / n) * Math.cos((Math.PI * (i + 0.5) * k) / n);

/** A matrix of these singular values: its singular vectors are cosine waves. */
function matrixOf(values: readonly number[], rows: number, columns: number): Float64Array {
  return Float64Array.from({ length: rows * columns }, (_unused, at) => {
    const [i, j] = [Math.floor(at / columns), at % columns];
    return values.reduce((sum, value, k) => sum + value * wave(rows, k, i) * wave(columns, k, j), 0);
  });
}

function expectBest(values: readonly number[], rows: number, columns: number, rank: number, allowed: number): void {
  const made = truncatedSvd(matrixOf(values, rows, columns), rows, columns, rank);
  const wanted = matrixOf(values.slice(0, rank), rows, columns);
  const at = (i: number, j: number): number =>
    Array.from({ length: rank }, (_unused, k) => made.left[i * rank + k]! * made.right[k * columns + j]!).reduce(
      (sum, x) => sum + x,
      0,
    );
  const gaps = wanted.map((x, place) => Math.abs(x - at(Math.floor(place / columns), place % columns)));
  expect(Math.max(...gaps)).toBeLessThan(allowed * values[0]!);
  const square = (part: readonly number[]): number => part.reduce((sum, x) => sum + x * x, 0);
  expect(made.relativeError).toBeCloseTo(Math.sqrt(square(values.slice(rank)) / square(values)), 8);
}

it("is exact for small matrices, however close the singular values are", () => {
  const falling = (ratio: number) => Array.from({ length: 40 }, (_unused, i) => ratio ** i);
  for (const ratio of [0.5, 0.9, 0.99]) {
    expectBest(falling(ratio), 60, 40, 4, 1e-10);
    expectBest(falling(ratio), 40, 60, 3, 1e-10);
  }
});

it("is exact for large matrices of small rank", () => expectBest([3, 2.9, 1, 1e-4], 300, 200, 4, 1e-10));

it("comes close for large matrices of full rank", () => {
  const values = Array.from({ length: 180 }, (_unused, i) => 0.97 ** i);
  expectBest(values, 200, 180, 4, 1e-6);
});

it("gives zeros for zeros, and beyond the rank that there is", () => {
  const { left, right, relativeError } = truncatedSvd(new Float64Array(6), 2, 3, 1);
  expect([...left, ...right, relativeError].every((x) => x === 0)).toBe(true);
  const wide = truncatedSvd(matrixOf([2], 3, 4), 3, 4, 5);
  expect([wide.left.length, wide.right.length]).toEqual([15, 20]);
  expect(wide.relativeError).toBeLessThan(1e-12);
});
