/**
 * Functions that WebAssembly lacks, as functions of four numbers. Errors against f64, over all of f32 unless said otherwise (measured by
 * `test/codegen/wasm.test.ts`): exp and log 1 ulp, tanh 2 ulp, sigmoid 1e-7, sin and cos 1e-7 for |x| < 3e9, and
 * between -1 and 1 beyond, erf 2e-7.
 */
import { FunctionWriter, f32x4, f64x2, get, i32, i32x4, type Tree, tree } from "./function-writer.ts";
import type { Opcode, WasmFunction } from "./instructions.ts";

const two =
  (op: Opcode) =>
  (a: Tree, b: Tree): Tree =>
    tree(op, [a, b]);
const add = two("f32x4.add");
const sub = two("f32x4.sub");
const mul = two("f32x4.mul");
const div = two("f32x4.div");
const or = two("v128.or");
const and = two("v128.and");
const less = two("f32x4.lt");
const addWords = two("i32x4.add");
const subWords = two("i32x4.sub");
const choose = (yes: Tree, no: Tree, mask: Tree): Tree => tree("v128.bitselect", [yes, no, mask]);
const shift = (op: "i32x4.shl" | "i32x4.shr_s" | "i32x4.shr_u", x: Tree, by: number): Tree => tree(op, [x, i32(by)]);
const abs = (x: Tree): Tree => tree("f32x4.abs", [x]);
const signBits = i32x4(0x80000000);

/** Horner's scheme; coefficients from that of the highest power down. */
const polynomial = (x: Tree, [first, ...rest]: readonly [number, ...number[]]): Tree =>
  rest.reduce((sum, c) => add(mul(sum, x), f32x4(c)), f32x4(first));

/** e to this is just above the smallest normal number. */
const smallest = -87.33;

type Names = (value: Tree) => Tree;

/** Added to a number of less than 2^22 it leaves the nearest integer in the low bits, and is exact: two instructions where conversions take ten. */
const rounder = 1.5 * 2 ** 23;
const rounderBits = 0x4b400000;

/**
 * e^x: x = n ln 2 + r, a polynomial of r (Cephes), and 2^n in two factors, so that neither overflows before the product does. What is below the
 * smallest normal number is 0: processors take a hundred times as long for those that are not normal, and masked scores are all of that kind.
 * The smaller and the larger are taken by one instruction each, which keep what is no number as they stand.
 */
function exp(x: Tree, name: Names): Tree {
  const within = name(tree("f32x4.pmin", [tree("f32x4.pmax", [x, f32x4(smallest)]), f32x4(89)]));
  const rounded = name(add(mul(within, f32x4(Math.LOG2E)), f32x4(rounder)));
  const n = name(sub(rounded, f32x4(rounder)));
  const r = name(sub(sub(within, mul(n, f32x4(0.693359375))), mul(n, f32x4(-2.1219444e-4))));
  const high = polynomial(
    r,
    [1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1],
  );
  const p = name(add(add(mul(mul(high, r), r), r), f32x4(1)));
  // Both factors' exponents as they are stored: 127 more.
  const both = name(subWords(rounded, i32x4(rounderBits - 2 * 127)));
  const half = name(shift("i32x4.shr_s", both, 1));
  const power = (stored: Tree): Tree => shift("i32x4.shl", stored, 23);
  const product = mul(mul(p, power(half)), power(subWords(both, half)));
  return tree("v128.andnot", [product, less(x, f32x4(smallest))]);
}

/** The natural logarithm: x = m 2^e with m around 1, a polynomial of m - 1 (Cephes). */
function log(x: Tree, name: Names): Tree {
  const isSmall = name(less(x, f32x4(1.17549435e-38)));
  const scaled = name(choose(mul(x, f32x4(8388608)), x, isSmall));
  const exponent = subWords(shift("i32x4.shr_u", scaled, 23), choose(i32x4(126 + 23), i32x4(126), isSmall));
  const mantissa = name(or(and(scaled, i32x4(0x007fffff)), f32x4(0.5)));
  const isLow = name(less(mantissa, f32x4(Math.SQRT1_2)));
  const e = name(sub(tree("f32x4.convert_i32x4_s", [exponent]), and(isLow, f32x4(1))));
  const m = name(sub(add(mantissa, and(isLow, mantissa)), f32x4(1)));
  const z = name(mul(m, m));
  const p = polynomial(
    m,
    [
      7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
      2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
    ],
  );
  const low = add(mul(mul(p, m), z), mul(e, f32x4(-2.1219444e-4)));
  const finite = name(add(add(m, sub(low, mul(z, f32x4(0.5)))), mul(e, f32x4(0.693359375))));
  const known = choose(f32x4(Number.NEGATIVE_INFINITY), finite, tree("f32x4.eq", [x, f32x4(0)]));
  const most = choose(x, known, tree("v128.not", [less(x, f32x4(Number.POSITIVE_INFINITY))]));
  return choose(f32x4(Number.NaN), most, less(x, f32x4(0)));
}

/** pi / 2 in three parts: k times one of the first two, 22 bits each, is exact in f64 for k < 2^31. */
const quarterTurns = [1.570796012878418, 3.139164164167596e-7, 6.223372171896613e-14];

/** Two numbers less whole quarter turns (f32, in the low lanes), and how many. The numbers are f64, so that those far from 0 keep their digits. */
function turnedBack(x: Tree, name: Names): readonly [rest: Tree, turns: Tree] {
  const k = name(tree("f64x2.nearest", [tree("f64x2.mul", [x, f64x2(2 / Math.PI)])]));
  const rest = quarterTurns.reduce((r, part) => tree("f64x2.sub", [r, tree("f64x2.mul", [k, f64x2(part)])]), x);
  return [tree("f32x4.demote_f64x2_zero", [rest]), tree("i32x4.trunc_sat_f64x2_s_zero", [k])];
}

const lowHalves = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const highHalf = [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15];

/** Sine (quarter 0) and cosine (quarter 1): quarter turns are taken off in f64, polynomials of Cephes. */
const turned =
  (quarter: number) =>
  (x: Tree, name: Names): Tree => {
    const wide = (y: Tree): Tree => name(tree("f64x2.promote_low_f32x4", [y]));
    const [low, high] = [wide(x), wide(tree("i8x16.shuffle", [x, x], ...highHalf))].map((y) => turnedBack(y, name));
    const join = (a: Tree, b: Tree): Tree => tree("i8x16.shuffle", [a, b], ...lowHalves);
    // Beyond 2^31 quarter turns the digits are lost: what is left is no angle, and still has a sine.
    const most = f32x4(Math.PI / 4 + 1e-6);
    const r = name(tree("f32x4.max", [tree("f32x4.min", [join(low![0], high![0]), most]), tree("f32x4.neg", [most])]));
    const z = name(mul(r, r));
    const s = add(mul(mul(polynomial(z, [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1]), z), r), r);
    const even = polynomial(z, [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2]);
    const c = add(sub(mul(mul(even, z), z), mul(z, f32x4(0.5))), f32x4(1));
    const q = name(addWords(join(low![1], high![1]), i32x4(quarter)));
    const y = choose(c, s, tree("i32x4.eq", [and(q, i32x4(1)), i32x4(1)]));
    return tree("v128.xor", [y, and(shift("i32x4.shl", q, 30), signBits)]);
  };

/** tanh: a polynomial near 0 (Cephes), else by e^(2 |x|). */
function tanh(x: Tree, name: Names): Tree {
  const size = name(abs(x));
  const far = name(sub(f32x4(1), div(f32x4(2), add(call("exp", add(size, size)), f32x4(1)))));
  const z = name(mul(x, x));
  const p = polynomial(
    z,
    [-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1],
  );
  const near = add(mul(mul(p, z), x), x);
  return choose(near, or(far, and(x, signBits)), less(size, f32x4(0.625)));
}

/** The error function: a polynomial near 0 (Cephes), else Abramowitz and Stegun 7.1.26. */
function erf(x: Tree, name: Names): Tree {
  const size = name(abs(x));
  const t = name(div(f32x4(1), add(f32x4(1), mul(f32x4(0.3275911), size))));
  const p = mul(polynomial(t, [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592]), t);
  const y = sub(f32x4(1), mul(p, call("exp", tree("f32x4.neg", [mul(x, x)]))));
  const near = mul(polynomial(mul(x, x), erfNear), x);
  return choose(near, or(y, and(x, signBits)), less(size, f32x4(1)));
}

const erfNear = [
  7.853861353153693e-5, -8.010193625184903e-4, 5.188327685732524e-3, -2.685381193529856e-2, 1.128358514861418e-1,
  -3.7612625824233e-1, 1.12837916572671,
] as const;

const sigmoid = (x: Tree, name: Names): Tree => div(f32x4(1), add(f32x4(1), exp(name(tree("f32x4.neg", [x])), name)));

const functions = { exp, log, sin: turned(0), cos: turned(1), tanh, erf, sigmoid } as const;

/** Threefry-2x32 with 20 rounds on two locals, in place. */
function rounds(writer: FunctionWriter, x: readonly [number, number], keys: readonly Tree[]): void {
  const [a, b] = x;
  const turns = [13, 15, 26, 6, 17, 29, 16, 24];
  const plus = (local: number, value: Tree): void => writer.set(local, tree("i32.add", [get(local), value]));
  plus(a, keys[0]!);
  plus(b, keys[1]!);
  for (let i = 0; i < 20; i++) {
    plus(a, get(b));
    writer.set(b, tree("i32.xor", [tree("i32.rotl", [get(b), i32(turns[i % 8]!)]), get(a)]));
    if (i % 4 !== 3) continue;
    const j = (i + 1) / 4;
    plus(a, keys[j % 3]!);
    plus(b, tree("i32.add", [keys[(j + 1) % 3]!, i32(j)]));
  }
}

/** Seed, step, site, tensor and counter to a number in (0, 1), as `openUniform` of `ir/threefry.ts`. */
function uniform(): WasmFunction {
  const writer = new FunctionWriter(["i32", "i32", "i32", "i32", "i32"]);
  const third = (a: Tree, b: Tree): Tree =>
    writer.bind("i32", tree("i32.xor", [tree("i32.xor", [a, b]), i32(0x1bd11bda)]));
  const [key, value] = [[2, 3] as const, [4, writer.local("i32")] as const];
  rounds(writer, key, [get(0), get(1), third(get(0), get(1))]);
  rounds(writer, value, [get(2), get(3), third(get(2), get(3))]);
  const number = tree("f32.convert_i32_u", [tree("i32.shr_u", [get(4), i32(9)])]);
  const centred = tree("f32.add", [number, tree("f32.const", [], 0.5)]);
  writer.push(tree("f32.mul", [centred, tree("f32.const", [], 2 ** -23)]));
  return writer.finish("uniform", ["f32"]);
}

const names = [...Object.keys(functions), "uniform"];

/** The call of one of them. */
export const call = (name: keyof typeof functions | "uniform", ...operands: readonly Tree[]): Tree =>
  tree("call", operands, names.indexOf(name));

export const isMathFunction = (name: string): name is keyof typeof functions => Object.hasOwn(functions, name);

let made: readonly WasmFunction[] | undefined;

/** What every module begins with. */
export function mathFunctions(): readonly WasmFunction[] {
  made ??= makeFunctions();
  return made;
}

function makeFunctions(): WasmFunction[] {
  const ofFour = Object.entries(functions).map(([name, make]) => {
    const writer = new FunctionWriter(["v128"]);
    writer.push(make(get(0), (value) => writer.bind("v128", value)));
    return writer.finish(name, ["v128"]);
  });
  return [...ofFour, uniform()];
}
