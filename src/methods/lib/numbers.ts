/** Builtins on known numbers, lists and texts. */
import { known, tensorValue } from "../dsl/value.ts";
import { type Builtin, makesKnown, makesValue } from "./builtin.ts";

/** The divisor of n nearest to k, the lower one on a tie; n itself when k is at least n. Source: PEFT's `adjust_oft_parameters`. */
function nearestDivisor(n: number, k: number): number {
  if (k >= n) return n;
  const divides = (d: number): boolean => n % d === 0;
  let [lower, higher] = [k, k];
  while (lower > 1 && !divides(lower)) lower--;
  while (higher < n && !divides(higher)) higher++;
  return k - lower <= higher - k ? lower : higher;
}

/** The nearest divisors of n below and above `wanted`. */
function divisorsAround(n: number, wanted: number): number[] {
  const near = new Set<number>();
  for (let d = Math.min(wanted, n); d >= 1 && near.size < 1; d--) if (n % d === 0) near.add(d);
  for (let d = wanted; d <= n; d++) {
    if (n % d !== 0 || near.has(d)) continue;
    near.add(d);
    break;
  }
  return [...near];
}

/** The smaller part of n = m k by which LoKr cuts a width: m near the square root, or near `wanted`. Source: PEFT's `factorization`. */
export function kroneckerFactor(n: number, wanted: number): number {
  if (wanted > 0 && n % wanted === 0) return wanted;
  const largest = wanted === -1 ? n : wanted;
  let m = 1;
  while (m < n / m) {
    let next = m + 1;
    while (n % next !== 0) next++;
    if (next + n / next > n + 1 || next > largest) break;
    m = next;
  }
  return Math.min(m, n / m);
}

/** Whether version `a` comes before `b`: numbers between dots are compared, a development suffix is ignored. */
function versionBefore(a: string, b: string): boolean {
  const parts = (version: string): number[] => version.split(".").map((part) => Number.parseInt(part, 10) || 0);
  const [x, y] = [parts(a), parts(b)];
  const at = y.findIndex((n, i) => n !== (x[i] ?? 0));
  return at >= 0 && (x[at] ?? 0) < y[at]!;
}

export const numberBuiltins: readonly Builtin[] = [
  makesValue(
    "per_adapter",
    { x: "number" },
    "The number itself; in a program that adapters of several sizes share an input, so that it may differ between them.",
    ({ x }, context) => {
      const input = context.setting(x);
      return input === undefined ? known(x) : tensorValue(input);
    },
  ),
  makesKnown(
    "kept_rank",
    { pattern: "known", path: "text", rank: "count" },
    "How many components of a module AdaLoRA has kept, by the truth values that rank_pattern has for it; rank where it has none.",
    ({ pattern, path, rank }, context) => {
      const kept = typeof pattern === "object" && pattern !== null ? Object.entries(pattern) : [];
      const found = kept.find(([name]) => name === `${path}.lora_E`)?.[1] as unknown;
      if (found === undefined) return rank;
      if (Array.isArray(found)) return found.filter((value) => value === true).length;
      throw context.fail("The pattern holds no list.", "true or false for every component", JSON.stringify(found));
    },
  ),
  makesKnown(
    "divides",
    { divisor: "number", n: "number" },
    "Whether n is a multiple of divisor; no divisor below 1 divides anything.",
    ({ divisor, n }) => divisor >= 1 && n % divisor === 0,
  ),
  makesKnown(
    "divisor_near",
    { n: "count", wanted: "count" },
    "The divisor of n nearest to wanted; the lower one on a tie.",
    ({ n, wanted }) => nearestDivisor(n, wanted),
  ),
  makesKnown(
    "kronecker_factor",
    { n: "count", wanted: "number" },
    "The first extent of n as m k: m near the square root of n when wanted is -1, else near wanted.",
    ({ n, wanted }) => kroneckerFactor(n, wanted),
  ),
  makesKnown(
    "divisors_around",
    { n: "count", wanted: "number" },
    "The nearest divisors of n below and above wanted, as a text for messages.",
    ({ n, wanted }) => divisorsAround(n, Math.max(1, Math.floor(wanted))).join(", "),
  ),
  makesKnown(
    "version_before",
    { version: "known", limit: "text" },
    "Whether a version such as 0.17.1 is older than limit; a version that is null is older than any.",
    ({ version, limit }) => typeof version !== "string" || versionBefore(version, limit),
  ),
  makesKnown(
    "distinct",
    { values: "counts" },
    "Whether no number of a list is there twice.",
    ({ values }) => new Set(values).size === values.length,
  ),
  makesKnown(
    "all_below",
    { values: "counts", limit: "number" },
    "Whether every number of a list is below limit.",
    ({ values, limit }) => values.every((value) => value < limit),
  ),
  makesKnown("repeated", { x: "number", count: "number" }, "A list that holds a number count times.", ({ x, count }) =>
    new Array<number>(count).fill(x),
  ),
];
