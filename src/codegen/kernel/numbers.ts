/** Numbers as kernels have them: f32 and 32-bit integers, in JavaScript. */
import { erf } from "../../ir/erf.ts";
import type { BinaryOperator, Scalar } from "./kernel.ts";

const words = new Uint32Array(1);
const floats = new Float32Array(words.buffer);

export const toBits = (value: number): number => {
  floats[0] = value;
  return words[0]!;
};

export const fromBits = (bits: number): number => {
  words[0] = bits;
  return floats[0]!;
};

/** The number that the 16 bits of an f16 are. */
export function expandHalf(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

export function rounded(type: Scalar, value: number): number {
  if (type === "f32") return Math.fround(value);
  return type === "u32" ? value >>> 0 : type === "i32" ? value | 0 : Number(value !== 0);
}

interface OperatorRecord {
  /** Types of its operands. */
  readonly types: readonly Scalar[];
  /** The type of the result where it is not that of the operands. */
  readonly result?: Scalar;
  readonly apply: (a: number, b: number, type: Scalar) => number;
}

const numbers: readonly Scalar[] = ["f32", "i32", "u32"];
const product = (a: number, b: number, type: Scalar): number => (type === "f32" ? a * b : Math.imul(a, b));
const quotient = (a: number, b: number, type: Scalar): number => (type === "f32" ? a / b : Math.trunc(a / b));

/** Operators; what `apply` gives is rounded to the type. */
export const operators: Readonly<Record<BinaryOperator, OperatorRecord>> = {
  "+": { types: numbers, apply: (a, b) => a + b },
  "-": { types: numbers, apply: (a, b) => a - b },
  "*": { types: numbers, apply: product },
  "/": { types: numbers, apply: quotient },
  "%": { types: numbers, apply: (a, b) => a % b },
  "<": { types: numbers, result: "bool", apply: (a, b) => Number(a < b) },
  "&&": { types: ["bool"], result: "bool", apply: (a, b) => Number(a !== 0 && b !== 0) },
  "&": { types: ["u32"], apply: (a, b) => a & b },
  "|": { types: ["u32"], apply: (a, b) => a | b },
  "^": { types: ["u32"], apply: (a, b) => a ^ b },
  "<<": { types: ["u32"], apply: (a, b) => a << b },
  ">>": { types: ["u32"], apply: (a, b) => a >>> b },
};

export function arithmetic(operator: BinaryOperator, type: Scalar, a: number, b: number): number {
  const { apply, result = type } = operators[operator];
  return rounded(result, apply(a, b, type));
}

/** What a pointwise op of the graph makes of numbers: the last argument is the type of the first one. */
type Pointwise = (a: number, b: number, c: number, from: Scalar) => number;

const pointwiseOps: Readonly<Record<string, Pointwise>> = {
  neg: (x) => -x,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  reciprocal: (x) => 1 / x,
  sin: Math.sin,
  cos: Math.cos,
  tanh: Math.tanh,
  erf,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  abs: Math.abs,
  sign: Math.sign,
  floor: Math.floor,
  not: (x) => Number(x === 0),
  add: (a, b, _c, from) => arithmetic("+", from, a, b),
  sub: (a, b, _c, from) => arithmetic("-", from, a, b),
  mul: (a, b, _c, from) => arithmetic("*", from, a, b),
  div: (a, b, _c, from) => arithmetic("/", from, a, b),
  mod: (a, b) => a % b,
  maximum: (a, b) => Math.max(a, b),
  minimum: (a, b) => Math.min(a, b),
  lt: (a, b) => Number(a < b),
  le: (a, b) => Number(a <= b),
  eq: (a, b) => Number(a === b),
  and: (a, b) => Number(a !== 0 && b !== 0),
  select: (a, b, c) => (a !== 0 ? b : c),
};

export function pointwise(op: string, args: readonly number[], to: Scalar, from: Scalar): number {
  const [a, b, c] = args as [number, number, number];
  if (op === "cast") return rounded(to, to === "i32" || to === "u32" ? Math.trunc(a) : a);
  const record = pointwiseOps[op];
  if (record === undefined) throw new Error(`${op} cannot be interpreted`);
  return rounded(to, record(a, b, c, from));
}
