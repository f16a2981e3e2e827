/**
 * Indices as sums: multiples of locals plus a constant, with the range of the whole. Addresses of neighbouring elements differ in their
 * constant only, which loads and stores take as an immediate; and what is known to lie inside needs no check.
 */
import { get, i32, type Tree, tree } from "./function-writer.ts";

export interface IndexForm {
  /** Factors by local. */
  readonly terms: ReadonlyMap<number, number>;
  readonly constant: number;
  /** Local with an address in bytes, to which the rest is added. */
  readonly base?: number;
  /** Bounds of the sum without its base, as integers; what is computed is that modulo 2^32. */
  readonly lo: number;
  readonly hi: number;
}

export const mostWord = 2 ** 32 - 1;

export const constantForm = (value: number): IndexForm => ({ terms: new Map(), constant: value, lo: value, hi: value });

/** A local with a value in lo .. hi. */
export const localForm = (local: number, lo = 0, hi = mostWord): IndexForm => ({
  terms: new Map([[local, 1]]),
  constant: 0,
  lo,
  hi,
});

export const baseForm = (local: number): IndexForm => ({ ...constantForm(0), base: local });

/** a + factor * b; undefined where two addresses would be added, or one multiplied. */
export function addForms(a: IndexForm, b: IndexForm, factor = 1): IndexForm | undefined {
  if (b.base !== undefined && (factor !== 1 || a.base !== undefined)) return undefined;
  const terms = new Map(a.terms);
  for (const [local, f] of b.terms) {
    const sum = (terms.get(local) ?? 0) + factor * f;
    if (sum === 0) terms.delete(local);
    else terms.set(local, sum);
  }
  const ends = [factor * b.lo, factor * b.hi];
  const base = a.base ?? b.base;
  return {
    terms,
    constant: a.constant + factor * b.constant,
    lo: a.lo + Math.min(...ends),
    hi: a.hi + Math.max(...ends),
    ...(base === undefined ? {} : { base }),
  };
}

/** The number that it always is. */
export const constantOf = (form: IndexForm): number | undefined =>
  form.terms.size === 0 && form.base === undefined ? form.constant : undefined;

/** Bounds of the word that it is: all words where the sum may wrap around. */
export const rangeOf = ({ lo, hi, base }: IndexForm): readonly [number, number] =>
  lo >= 0 && hi <= mostWord && base === undefined ? [lo, hi] : [0, mostWord];

/** The sum, every element `width` bytes. */
export function formTree({ terms, constant, base }: IndexForm, width = 1): Tree {
  const parts = [...terms].map(([local, factor]) => scaled(get(local), factor * width));
  if (base !== undefined) parts.unshift(get(base));
  const sum = parts.length === 0 ? undefined : parts.reduce((a, b) => tree("i32.add", [a, b]));
  if (sum === undefined) return i32(constant * width);
  return constant === 0 ? sum : tree("i32.add", [sum, i32(constant * width)]);
}

function scaled(value: Tree, factor: number): Tree {
  if (factor === 1) return value;
  const power = Math.log2(factor);
  return Number.isInteger(power) ? tree("i32.shl", [value, i32(power)]) : tree("i32.mul", [value, i32(factor)]);
}

/** What an address is the same by, constant apart. */
export const keyOfForm = ({ terms, base }: IndexForm): string =>
  `${base}:${[...terms]
    .sort(([a], [b]) => a - b)
    .map(([local, factor]) => `${factor}*${local}`)
    .join("+")}`;
