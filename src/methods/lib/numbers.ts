/** Builtins on known numbers. */
import { known, tensorValue } from "../dsl/value.ts";
import type { Builtin } from "./builtin.ts";

const ofOne = (name: string, doc: string, f: (x: number) => number): Builtin => ({
  name,
  parameters: [{ name: "x", kind: "number" }],
  doc,
  call: (context, args) => {
    const result = f(args.number("x"));
    if (!Number.isFinite(result)) throw context.fail(`${name} of ${args.number("x")} is not a number.`);
    return known(result);
  },
});

const ofMany = (name: string, doc: string, f: (...xs: number[]) => number): Builtin => ({
  name,
  parameters: [{ name: "values", kind: "number", rest: true }],
  doc,
  call: (_context, args) => known(f(...args.numbers("values"))),
});

/** The divisor of n nearest to k, the lower one on a tie; n itself when k is at least n. Source: PEFT's `adjust_oft_parameters`. */
export function nearestDivisor(n: number, k: number): number {
  if (k >= n) return n;
  const divides = (d: number): boolean => n % d === 0;
  let [lower, higher] = [k, k];
  while (lower > 1 && !divides(lower)) lower--;
  while (higher < n && !divides(higher)) higher++;
  return k - lower <= higher - k ? lower : higher;
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
  {
    name: "per_adapter",
    parameters: [{ name: "x", kind: "number" }],
    doc: "The number itself; in a program that adapters of several sizes share an input, so that it may differ between them.",
    call: (context, args) => {
      const input = context.setting(args.number("x"));
      return input === undefined ? known(args.number("x")) : tensorValue(input);
    },
  },
  ofOne("sqrt", "Square root.", Math.sqrt),
  ofOne("ln", "Natural logarithm.", Math.log),
  ofOne("log2", "Logarithm to base 2.", Math.log2),
  ofOne("floor", "The largest whole number not above x.", Math.floor),
  ofOne("ceil", "The smallest whole number not below x.", Math.ceil),
  ofOne("rounded", "The nearest whole number, of two the even one.", (x) =>
    x - Math.floor(x) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x),
  ),
  ofMany("min", "The smallest of some numbers.", Math.min),
  ofMany("max", "The largest of some numbers.", Math.max),
  {
    name: "kept_rank",
    parameters: [
      { name: "pattern", kind: "known" },
      { name: "path", kind: "text" },
      { name: "rank", kind: "count" },
    ],
    doc: "How many components of a module AdaLoRA has kept, by the truth values that rank_pattern has for it; rank where it has none.",
    call: (context, args) => {
      const [pattern, key] = [args.known("pattern"), `${args.text("path")}.lora_E`];
      const kept = typeof pattern === "object" && pattern !== null ? Object.entries(pattern) : [];
      const found = kept.find(([name]) => name === key)?.[1] as unknown;
      if (found === undefined) return known(args.number("rank"));
      if (Array.isArray(found)) return known(found.filter((value) => value === true).length);
      throw context.fail("The pattern holds no list.", "true or false for every component", JSON.stringify(found));
    },
  },
  {
    name: "power",
    parameters: [
      { name: "base", kind: "number" },
      { name: "exponent", kind: "number" },
    ],
    doc: "base to the power of exponent.",
    call: (_context, args) => known(args.number("base") ** args.number("exponent")),
  },
  {
    name: "divides",
    parameters: [
      { name: "divisor", kind: "number" },
      { name: "n", kind: "number" },
    ],
    doc: "Whether n is a multiple of divisor; no divisor below 1 divides anything.",
    call: (_context, args) => known(args.number("divisor") >= 1 && args.number("n") % args.number("divisor") === 0),
  },
  {
    name: "divisor_near",
    parameters: [
      { name: "n", kind: "count" },
      { name: "wanted", kind: "count" },
    ],
    doc: "The divisor of n nearest to wanted; the lower one on a tie.",
    call: (_context, args) => known(nearestDivisor(args.number("n"), args.number("wanted"))),
  },
  {
    name: "kronecker_factor",
    parameters: [
      { name: "n", kind: "count" },
      { name: "wanted", kind: "number" },
    ],
    doc: "The first extent of n as m k: m near the square root of n when wanted is -1, else near wanted.",
    call: (_context, args) => known(kroneckerFactor(args.number("n"), args.number("wanted"))),
  },
  {
    name: "divisors_around",
    parameters: [
      { name: "n", kind: "count" },
      { name: "wanted", kind: "number" },
    ],
    doc: "The nearest divisors of n below and above wanted, as a text for messages.",
    call: (_context, args) => {
      const [n, wanted] = [args.number("n"), Math.max(1, Math.floor(args.number("wanted")))];
      const near = new Set<number>();
      for (let d = Math.min(wanted, n); d >= 1 && near.size < 1; d--) if (n % d === 0) near.add(d);
      for (let d = wanted; d <= n; d++) {
        if (n % d !== 0 || near.has(d)) continue;
        near.add(d);
        break;
      }
      return known([...near].join(", "));
    },
  },
  {
    name: "version_before",
    parameters: [
      { name: "version", kind: "known" },
      { name: "limit", kind: "text" },
    ],
    doc: "Whether a version such as 0.17.1 is older than limit; a version that is null is older than any.",
    call: (_context, args) => {
      const version = args.known("version");
      return known(typeof version !== "string" || versionBefore(version, args.text("limit")));
    },
  },
];
