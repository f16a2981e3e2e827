/** The ways to run a product and what they cost: how it is cut into runs, and whether it is distributed over a sum. */
import type { OperatorLowering } from "./record.ts";
import { factorsOf, isIdentity, multipleOf, termsOf } from "./view.ts";

/** A product cut into runs of adjacent factors; a run of several is collapsed into one matrix before it is applied. */
export interface Cut {
  readonly runs: readonly (readonly number[])[];
  readonly flops: number;
}

/** One term of a product that was distributed over a sum: its factors, and a scalar that it is multiplied by. */
export interface Term {
  readonly factors: readonly number[];
  readonly scalar: number | undefined;
}

/** Every cut of so many factors is compared; of more only those whose runs are no longer than this. */
const fewFactors = 24;
const longestRun = 8;

/** Flops of the matrix of a product: one factor dense, the others applied to it from their side. */
export function productFlops(l: OperatorLowering, factors: readonly number[]): number {
  if (factors.some((factor) => l.varies(factor))) return Number.POSITIVE_INFINITY;
  return Math.min(...factors.map((_factor, at) => flopsAround(l, factors, at)));
}

/** The same with the factor that is made dense given. */
export function flopsAround(l: OperatorLowering, factors: readonly number[], at: number): number {
  const rows = l.builder.operator(factors[0]!).out;
  const columns = l.builder.operator(factors[at]!).in;
  const left = factors.slice(0, at).reduce((sum, f) => sum + l.flops(f, columns), 0);
  const right = factors.slice(at + 1).reduce((sum, f) => sum + l.flops(f, rows), 0);
  return l.denseFlops(factors[at]!) + left + right;
}

/**
 * The cheapest way to run a product over `vectors` vectors: factors in sequence, where adjacent ones may be collapsed into a matrix
 * first. The best cut of the first n factors is the best last run behind a best cut; of equal ones the one with more runs.
 */
export function cheapestCut(l: OperatorLowering, factors: readonly number[], vectors: number): Cut {
  const best: Cut[] = [{ runs: [], flops: 0 }];
  for (let end = 1; end <= factors.length; end++) {
    const longest = factors.length > fewFactors ? longestRun : factors.length;
    const first = l.fold ? Math.max(0, end - longest) : end - 1;
    let found: Cut = { runs: [], flops: Number.POSITIVE_INFINITY };
    for (let start = end - 1; start >= first; start--) {
      const run = factors.slice(start, end);
      const flops = best[start]!.flops + runFlops(l, run, vectors);
      if (flops < found.flops || start === end - 1) found = { runs: [...best[start]!.runs, run], flops };
    }
    best.push(found);
  }
  return best.at(-1)!;
}

function runFlops(l: OperatorLowering, run: readonly number[], vectors: number): number {
  if (run.length === 1) return l.flops(run[0]!, vectors);
  const rows = l.builder.operator(run[0]!).out;
  const columns = l.builder.operator(run.at(-1)!).in;
  return productFlops(l, run) + 2 * rows * columns * vectors * l.weight(run);
}

export interface Distributed {
  readonly terms: readonly Term[];
  readonly flops: number;
}

/** W (I + A B) as W + W A B: the terms of a product with one sum in it that holds an identity. */
export function distributed(l: OperatorLowering, factors: readonly number[], vectors: number): Distributed | undefined {
  const { builder } = l;
  const sums = factors.filter((factor) => termsOf(builder, factor).length > 1);
  const [sum] = sums;
  if (sum === undefined || sums.length > 1 || factors.length < 2) return undefined;
  const parts = termsOf(builder, sum);
  if (!parts.some((part) => isIdentity(builder, part))) return undefined;
  const at = factors.indexOf(sum);
  const terms = parts.map((part): Term => {
    const { operator, scalar } = multipleOf(builder, part);
    const own = isIdentity(builder, operator) ? [] : factorsOf(builder, operator);
    return { factors: [...factors.slice(0, at), ...own, ...factors.slice(at + 1)], scalar };
  });
  return { terms, flops: terms.reduce((total, { factors: f }) => total + cheapestCut(l, f, vectors).flops, 0) };
}
