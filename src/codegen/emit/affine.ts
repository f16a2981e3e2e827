/**
 * Index expressions: sums of integer multiples of atoms plus a constant, with ranges. An atom is a variable (0 .. max) or the quotient or
 * remainder of such a sum by a literal. Reshapes make quotients and remainders; the rules here take them away where axes line up:
 *
 *   (d q + r) / d = q + r / d          (g x + c) / (g e) = x / e  for 0 <= c < g        x / a / b = x / (a b)
 *   m (x / m) + x % m = x              x / d = 0, x % d = x  for 0 <= x < d
 *
 * `lo` and `hi` bound the value where it is used (a guard may have narrowed them below what the terms say).
 */
import { remembered } from "../../ir/remember.ts";
import { type Expr, u32 } from "../kernel/kernel.ts";

interface AnyAtom {
  readonly key: string;
  readonly min: number;
  readonly max: number;
  readonly depth: number;
  /** It depends on the lane. */
  readonly lane: boolean;
}

interface Variable extends AnyAtom {
  readonly kind: "variable";
  readonly expr: Expr;
  /** The value is a multiple of four. */
  readonly aligned: boolean;
  /** Which number of an unrolled loop this is: a constant that keeps its own stride, so that all elements of a tile share the words of one address. */
  readonly element: number | undefined;
  /** Variables of one family share strides. */
  readonly family: string | undefined;
}

interface Quotient extends AnyAtom {
  readonly kind: "div" | "mod";
  readonly of: Affine;
  readonly by: number;
}

export type Atom = Variable | Quotient;

export interface Term {
  readonly factor: number;
  readonly atom: Atom;
}

export interface Affine {
  /** By the keys of their atoms, each once. */
  readonly terms: readonly Term[];
  readonly constant: number;
  readonly lo: number;
  readonly hi: number;
  /** Made by `keyOf`. */
  key: string | undefined;
}

// Everything is made here, with all of its fields in one order: engines run code well that sees one shape of object.
const affine = (terms: readonly Term[], constantPart: number, lo: number, hi: number): Affine => ({
  terms,
  constant: constantPart,
  lo,
  hi,
  key: undefined,
});

export const constant = (value: number): Affine => affine([], value, value, value);

const atomAffine = (atom: Atom): Affine => affine([{ factor: 1, atom }], 0, atom.min, atom.max);

/** A variable in [0, extent). */
export function variable(
  key: string,
  extent: number,
  expr: Expr,
  depth: number,
  { lane = false, aligned = false, family }: { lane?: boolean; aligned?: boolean; family?: string | undefined } = {},
): Affine {
  const max = extent - 1;
  return atomAffine({ kind: "variable", key, min: 0, max, depth, lane, expr, aligned, element: undefined, family });
}

/** The number `value` of an unrolled loop over a family of elements (rows of a tile, lanes of a vector). */
export function element(family: string, value: number): Affine {
  const key = `~${family}#${value}`;
  const range = { min: value, max: value, depth: 0, lane: false };
  const own = { expr: u32(value), aligned: false, element: value, family };
  return atomAffine({ kind: "variable", key, ...range, ...own });
}

export const isElement = (atom: Atom): boolean => atom.kind === "variable" && atom.element !== undefined;

/** Equal for equal sums. */
export function keyOf(a: Affine): string {
  if (a.key !== undefined) return a.key;
  let key = "";
  for (let i = 0; i < a.terms.length; i++) key += `${a.terms[i]!.factor}*${a.terms[i]!.atom.key}+`;
  a.key = `${key}${a.constant}`;
  return a.key;
}

/** Deepest block in which one of the variables lives. */
export const depthOf = (a: Affine): number => a.terms.reduce((depth, t) => Math.max(depth, t.atom.depth), 0);

export function hasLane({ terms }: Affine): boolean {
  for (let i = 0; i < terms.length; i++) if (terms[i]!.atom.lane) return true;
  return false;
}

/** The terms of two sums together. */
function joined(a: readonly Term[], b: readonly Term[]): readonly Term[] {
  const terms: Term[] = [];
  let i = 0;
  for (let j = 0; j < b.length; j++) {
    const term = b[j]!;
    const { key } = term.atom;
    while (i < a.length && a[i]!.atom.key < key) terms.push(a[i++]!);
    if (a[i]?.atom.key !== key) terms.push(term);
    else {
      const factor = a[i++]!.factor + term.factor;
      if (factor !== 0) terms.push({ factor, atom: term.atom });
    }
  }
  while (i < a.length) terms.push(a[i++]!);
  return terms;
}

/** A sum of ordered terms with its range; quotient and remainder of one sum meet. */
function build(terms: readonly Term[], constantPart: number): Affine {
  let lo = constantPart;
  let hi = constantPart;
  let remainders = 0;
  for (let i = 0; i < terms.length; i++) {
    const { factor, atom } = terms[i]!;
    if (atom.kind === "mod") remainders++;
    lo += factor * (factor > 0 ? atom.min : atom.max);
    hi += factor * (factor > 0 ? atom.max : atom.min);
  }
  const whole = remainders === 0 ? undefined : joinQuotient(terms, constantPart);
  return whole ?? affine(terms, constantPart, lo, hi);
}

const quotients = new WeakMap<Atom, Affine>();

/** m (x / m) + x % m = x, times any factor. */
function joinQuotient(terms: readonly Term[], constantPart: number): Affine | undefined {
  for (const { factor, atom } of terms) {
    if (atom.kind !== "mod") continue;
    const quotient = remembered(quotients, atom, () => divide(atom.of, atom.by));
    const [only] = quotient.terms;
    if (quotient.terms.length !== 1 || quotient.constant !== 0 || only!.factor !== 1) continue;
    const mate = terms.find((t) => t.atom.key === only!.atom.key);
    if (mate === undefined || mate.factor !== factor * atom.by) continue;
    const rest = terms.filter((t) => t.atom !== atom && t !== mate);
    return add(build(rest, constantPart), scale(atom.of, factor));
  }
  return undefined;
}

export function add(a: Affine, b: Affine): Affine {
  const lo = a.lo + b.lo;
  const hi = a.hi + b.hi;
  if (a.terms.length === 0) return affine(b.terms, a.constant + b.constant, lo, hi);
  if (b.terms.length === 0) return affine(a.terms, a.constant + b.constant, lo, hi);
  const sum = build(joined(a.terms, b.terms), a.constant + b.constant);
  return within(sum, Math.max(sum.lo, lo), Math.min(sum.hi, hi));
}

export function scale(a: Affine, factor: number): Affine {
  if (factor === 0) return constant(0);
  if (factor === 1) return a;
  const terms: Term[] = [];
  for (let i = 0; i < a.terms.length; i++) terms.push({ factor: a.terms[i]!.factor * factor, atom: a.terms[i]!.atom });
  const constantPart = a.constant * factor;
  return factor > 0
    ? affine(terms, constantPart, a.lo * factor, a.hi * factor)
    : affine(terms, constantPart, a.hi * factor, a.lo * factor);
}

/** The same value, known to lie in lo .. hi. */
export function within(a: Affine, lo: number, hi: number): Affine {
  if (a.lo === lo && a.hi === hi) return a;
  const narrowed = affine(a.terms, a.constant, lo, hi);
  narrowed.key = a.key;
  return narrowed;
}

/** The sum with another value in the place of every atom that depends on the lane. */
export function substituted(a: Affine, replaced: (atom: Atom) => Affine): Affine {
  const kept = a.terms.filter(({ factor, atom }) => factor !== 0 && !atom.lane);
  let sum = build(kept, a.constant);
  for (const { factor, atom } of a.terms) if (atom.lane) sum = add(sum, scale(replaced(atom), factor));
  return within(sum, Math.max(sum.lo, a.lo), Math.min(sum.hi, a.hi));
}

/** A part of the terms, or more of them. */
export const withTerms = (a: Affine, terms: readonly Term[]): Affine => affine(terms, a.constant, a.lo, a.hi);

const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b));
const floorMod = (a: number, m: number): number => ((a % m) + m) % m;

/** a = d q + r with the terms of r not divisible by d; undefined when r may be negative. */
function split(a: Affine, d: number): { q: Affine; r: Affine } {
  const q = build(
    a.terms.filter((t) => t.factor % d === 0).map((t) => ({ factor: t.factor / d, atom: t.atom })),
    Math.floor(a.constant / d),
  );
  const r = build(
    a.terms.filter((t) => t.factor % d !== 0),
    floorMod(a.constant, d),
  );
  return r.lo >= 0 ? { q, r } : { q: constant(0), r: a };
}

/** r = g x + c with 0 <= c < g for the largest such g > 1 that divides d: what is below g does not matter to a quotient by d. */
function reduced(r: Affine, d: number): { x: Affine; g: number; c: Affine } {
  const candidates = [...new Set(r.terms.map((t) => gcd(t.factor, d)))].filter((g) => g > 1).sort((a, b) => b - a);
  for (const g of candidates) {
    const c = build(
      r.terms.filter((t) => t.factor % g !== 0),
      floorMod(r.constant, g),
    );
    if (c.lo < 0 || c.hi >= g) continue;
    const high = r.terms.filter((t) => t.factor % g === 0).map((t) => ({ factor: t.factor / g, atom: t.atom }));
    return { x: build(high, Math.floor(r.constant / g)), g, c };
  }
  return { x: r, g: 1, c: constant(0) };
}

/** Quotient by a positive literal; the value must not be negative. */
export function divide(a: Affine, d: number): Affine {
  if (d === 1) return a;
  if (a.lo >= 0 && Math.floor(a.lo / d) === Math.floor(a.hi / d)) return constant(Math.floor(a.lo / d));
  const { q, r } = split(a, d);
  const isSmall = q.terms.length === 0 && q.constant === 0;
  const result = isSmall ? quotientAtom(r, d) : add(q, r.hi < d ? constant(0) : quotientAtom(r, d));
  return within(result, Math.max(result.lo, Math.floor(a.lo / d)), Math.min(result.hi, Math.floor(a.hi / d)));
}

function quotientAtom(r: Affine, d: number): Affine {
  const { x, g } = reduced(r, d);
  if (d / g === 1) return x;
  const [only] = x.terms;
  if (x.terms.length === 1 && x.constant === 0 && only!.factor === 1 && only!.atom.kind === "div") {
    return quotientOf(only!.atom.of, (only!.atom.by * d) / g);
  }
  return quotientOf(x, d / g);
}

const quotient = (kind: Quotient["kind"], key: string, max: number, of: Affine, by: number): Quotient => ({
  kind,
  key,
  min: 0,
  max,
  depth: depthOf(of),
  lane: hasLane(of),
  of,
  by,
});

function quotientOf(x: Affine, by: number): Affine {
  const max = Math.floor(x.hi / by);
  return max === Math.floor(x.lo / by) ? constant(max) : atomAffine(quotient("div", `(${keyOf(x)})/${by}`, max, x, by));
}

/** Remainder by a positive literal; the value must not be negative. */
export function remainder(a: Affine, d: number): Affine {
  if (d === 1) return constant(0);
  const turns = Math.floor(a.lo / d);
  if (a.lo >= 0 && turns === Math.floor(a.hi / d)) return add(a, constant(-turns * d));
  const { r } = split(a, d);
  if (r.lo >= 0 && r.hi < d) return r;
  const { x, g, c } = reduced(r, d);
  if (d / g === 1) return c;
  const by = d / g;
  const isPlain = x.lo >= 0 && x.hi < by;
  return add(scale(isPlain ? x : atomAffine(quotient("mod", `(${keyOf(x)})%${by}`, by - 1, x, by)), g), c);
}

/** Multi-index of a row-major position. */
export function delinearize(position: Affine, shape: readonly number[]): Affine[] {
  const index: Affine[] = new Array<Affine>(shape.length);
  let rest = position;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = axis === 0 ? rest : remainder(rest, shape[axis]!);
    rest = divide(rest, shape[axis]!);
  }
  return index;
}

/** Row-major position of a multi-index. */
export function linearize(index: readonly Affine[], shape: readonly number[]): Affine {
  let stride = 1;
  let sum: Affine | undefined;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const scaled = scale(index[axis]!, stride);
    sum = sum === undefined ? scaled : add(sum, scaled);
    stride *= shape[axis]!;
  }
  return sum ?? constant(0);
}
