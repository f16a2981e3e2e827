/** The axes of curves over steps. */
import { expect, it } from "vitest";
import { chartSvg, type Point } from "../../src/inspect/training/chart.ts";

const stepsOf = (points: readonly Point[]): string[] => {
  const svg = chartSvg({ title: "loss", series: [{ name: "loss", look: "raw", points }] });
  return [...svg.matchAll(/text-anchor="middle">([^<]*)</g)].map(([, text]) => text!);
};

it.each([
  [1, 1],
  [1, 2],
  [1, 3],
  [7, 7],
  [1, 40],
  [10_200, 10_450],
  [1, 2_000_000],
])("number steps %i to %i by whole numbers within them", (first, last) => {
  const told = stepsOf([
    [first, 2],
    [last, 1],
  ]);
  expect(told.length).toBeGreaterThan(0);
  for (const text of told) expect(text).toMatch(/^\d+$/);
  const numbers = told.map(Number);
  expect([...new Set(numbers)].sort((a, b) => a - b)).toEqual(numbers);
  const room = 1 + (last - first) / 10;
  for (const n of numbers) expect(n >= first - room && n <= last + room).toBe(true);
});
