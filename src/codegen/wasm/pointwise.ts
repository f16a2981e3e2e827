/** Pointwise ops on one number or on four, as WebAssembly. A truth value is 0 or 1; one of four is all bits or none. */
import type { Lanes, Scalar } from "../kernel/kernel.ts";
import { f32, f32x4, i32, i32x4, type Tree, tree } from "./function-writer.ts";
import type { Opcode } from "./instructions.ts";
import { call, isMathFunction } from "./math.ts";

/** How to name a value that is needed twice. */
export type Binder = (type: "i32" | "f32" | "v128", value: Tree) => Tree;

type Kind = "f32" | "i32" | "u32" | "bool" | "f32x4" | "i32x4" | "u32x4" | "boolx4";

export const kindOf = (type: Scalar, lanes: Lanes): Kind => (lanes === 4 ? `${type}x4` : type);

/** Instructions by op and by the kind of the first operand. */
const direct: Readonly<Record<string, Partial<Readonly<Record<Kind, Opcode>>>>> = {
  neg: { f32: "f32.neg", f32x4: "f32x4.neg", i32x4: "i32x4.neg" },
  sqrt: { f32: "f32.sqrt", f32x4: "f32x4.sqrt" },
  abs: { f32: "f32.abs", f32x4: "f32x4.abs", i32x4: "i32x4.abs" },
  floor: { f32: "f32.floor", f32x4: "f32x4.floor" },
  not: { bool: "i32.eqz", boolx4: "v128.not" },
  and: { bool: "i32.and", boolx4: "v128.and" },
  add: { f32: "f32.add", i32: "i32.add", u32: "i32.add", f32x4: "f32x4.add", i32x4: "i32x4.add", u32x4: "i32x4.add" },
  sub: { f32: "f32.sub", i32: "i32.sub", u32: "i32.sub", f32x4: "f32x4.sub", i32x4: "i32x4.sub", u32x4: "i32x4.sub" },
  mul: { f32: "f32.mul", i32: "i32.mul", u32: "i32.mul", f32x4: "f32x4.mul", i32x4: "i32x4.mul", u32x4: "i32x4.mul" },
  div: { f32: "f32.div", i32: "i32.div_s", u32: "i32.div_u", f32x4: "f32x4.div" },
  mod: { i32: "i32.rem_s", u32: "i32.rem_u" },
  maximum: { f32: "f32.max", f32x4: "f32x4.max", i32x4: "i32x4.max_s", u32x4: "i32x4.max_u" },
  minimum: { f32: "f32.min", f32x4: "f32x4.min", i32x4: "i32x4.min_s", u32x4: "i32x4.min_u" },
  lt: { f32: "f32.lt", i32: "i32.lt_s", u32: "i32.lt_u", f32x4: "f32x4.lt", i32x4: "i32x4.lt_s", u32x4: "i32x4.lt_u" },
  le: { f32: "f32.le", i32: "i32.le_s", u32: "i32.le_u", f32x4: "f32x4.le", i32x4: "i32x4.le_s", u32x4: "i32x4.le_u" },
  eq: {
    f32: "f32.eq",
    i32: "i32.eq",
    u32: "i32.eq",
    bool: "i32.eq",
    f32x4: "f32x4.eq",
    i32x4: "i32x4.eq",
    u32x4: "i32x4.eq",
    boolx4: "i32x4.eq",
  },
  shl: { u32: "i32.shl" },
  shr: { u32: "i32.shr_u" },
  or: { u32: "i32.or" },
  xor: { u32: "i32.xor" },
  bits: { u32: "i32.and" },
};

/** The value of an op; `kind` is that of its first operand, `to` that of its result. */
export function pointwiseTree(op: string, args: readonly Tree[], kind: Kind, to: Kind, bind: Binder): Tree {
  const [a, b, c] = args as [Tree, Tree, Tree];
  if (op === "select") return to.endsWith("x4") ? tree("v128.bitselect", [b, c, a]) : tree("select", [b, c, a]);
  if (op === "cast") return castTree(a, kind, to);
  const opcode = direct[op]?.[kind];
  if (opcode !== undefined && (op === "div" || op === "mod") && kind !== "f32" && kind !== "f32x4")
    return quotientTree(opcode, a, b, kind === "i32", bind);
  if (opcode !== undefined) return tree(opcode, args);
  if (isMathFunction(op)) {
    return kind === "f32x4" ? call(op, a) : tree("f32x4.extract_lane", [call(op, tree("f32x4.splat", [a]))], 0);
  }
  const lane = kind === "i32x4" ? "i32" : kind === "u32x4" ? "u32" : undefined;
  if (lane !== undefined && direct[op]?.[lane] !== undefined) return laneByLane(op, args, lane, bind);
  const make = composed[op];
  if (make !== undefined) return make(kind, bind, a, b);
  throw new Error(`${op} of ${kind} is not printed as WebAssembly`);
}

/**
 * A quotient or remainder of words, as WGSL has it where there is none (x / 0 = x, x % 0 = 0): the instructions would stop the run, also for words
 * that nobody wants, such as those beside a padded tensor.
 */
function quotientTree(opcode: Opcode, given: Tree, by: Tree, isSigned: boolean, bind: Binder): Tree {
  if (by.op === "i32.const" && by.immediates[0] !== 0 && by.immediates[0] !== -1) return tree(opcode, [given, by]);
  const [a, b] = [bind("i32", given), bind("i32", by)];
  const isLeast = (): Tree => tree("i32.and", [tree("i32.eq", [a, i32(-(2 ** 31))]), tree("i32.eq", [b, i32(-1)])]);
  const isZero = tree("i32.eqz", [b]);
  const hasNone = isSigned ? tree("i32.or", [isZero, isLeast()]) : isZero;
  return tree(opcode, [a, tree("select", [i32(1), b, hasNone])]);
}

const isWide = (kind: Kind): boolean => kind.endsWith("x4");
const one = (kind: Kind): Tree => (isWide(kind) ? f32x4(1) : f32(1));
const operation = (kind: Kind, op: string, ...args: readonly Tree[]): Tree => tree(direct[op]![kind]!, args);

/** Ops that take several instructions. */
const composed: Readonly<Record<string, (kind: Kind, bind: Binder, a: Tree, b: Tree) => Tree>> = {
  reciprocal: (kind, _bind, x) => operation(kind, "div", one(kind), x),
  rsqrt: (kind, _bind, x) => operation(kind, "div", one(kind), operation(kind, "sqrt", x)),
  neg: (kind, _bind, x) => operation(kind, "sub", i32(0), x),
  abs: (_kind, bind, given) => {
    const x = bind("i32", given);
    return tree("select", [tree("i32.sub", [i32(0), x]), x, tree("i32.lt_s", [x, i32(0)])]);
  },
  sign: (kind, bind, given) => {
    if (kind === "i32") {
      const x = bind("i32", given);
      return tree("i32.sub", [tree("i32.lt_s", [i32(0), x]), tree("i32.lt_s", [x, i32(0)])]);
    }
    if (kind === "f32") {
      const x = bind("f32", given);
      const difference = tree("i32.sub", [tree("f32.gt", [x, f32(0)]), tree("f32.lt", [x, f32(0)])]);
      return tree("f32.convert_i32_s", [difference]);
    }
    const x = bind("v128", given);
    // A mask is -1 where it holds.
    const [above, below, zero] =
      kind === "f32x4"
        ? [tree("f32x4.gt", [x, f32x4(0)]), tree("f32x4.lt", [x, f32x4(0)]), "f32x4.convert_i32x4_s" as const]
        : [tree("i32x4.lt_s", [i32x4(0), x]), tree("i32x4.lt_s", [x, i32x4(0)]), undefined];
    const difference = tree("i32x4.sub", [below, above]);
    return zero === undefined ? difference : tree(zero, [difference]);
  },
  mod: (kind, bind, given, by) => {
    const [a, b] = [bind(isWide(kind) ? "v128" : "f32", given), bind(isWide(kind) ? "v128" : "f32", by)];
    const whole = tree(isWide(kind) ? "f32x4.trunc" : "f32.trunc", [operation(kind, "div", a, b)]);
    return operation(kind, "sub", a, operation(kind, "mul", b, whole));
  },
  maximum: (kind, bind, a, b) => larger(kind, bind, a, b, (x, y) => operation(kind, "lt", x, y)),
  minimum: (kind, bind, a, b) => larger(kind, bind, a, b, (x, y) => operation(kind, "lt", y, x)),
};

function larger(_kind: Kind, bind: Binder, a: Tree, b: Tree, isLess: (x: Tree, y: Tree) => Tree): Tree {
  const [x, y] = [bind("i32", a), bind("i32", b)];
  return tree("select", [y, x, isLess(x, y)]);
}

/** What SIMD has no instruction for. */
function laneByLane(op: string, args: readonly Tree[], kind: "i32" | "u32", bind: Binder): Tree {
  const bound = args.map((a) => bind("v128", a));
  const lanes = [0, 1, 2, 3].map((lane) =>
    pointwiseTree(
      op,
      bound.map((a) => tree("i32x4.extract_lane", [a], lane)),
      kind,
      kind,
      bind,
    ),
  );
  return lanes
    .slice(1)
    .reduce((sum, x, i) => tree("i32x4.replace_lane", [sum, x], i + 1), tree("i32x4.splat", [lanes[0]!]));
}

function castTree(x: Tree, from: Kind, to: Kind): Tree {
  if (from === to) return x;
  const conversion = conversions[`${from} ${to}`];
  if (conversion !== undefined) return tree(conversion, [x]);
  if (from === "bool" || from === "boolx4") {
    if (to === "f32x4") return tree("v128.and", [x, f32x4(1)]);
    return to.endsWith("x4") ? tree("v128.and", [x, i32x4(1)]) : x;
  }
  if (to === "boolx4") return tree("v128.not", [operation(from, "eq", x, from === "f32x4" ? f32x4(0) : i32x4(0))]);
  if (to === "bool") return tree("i32.eqz", [operation(from, "eq", x, from === "f32" ? f32(0) : i32(0))]);
  return x;
}

/** Casts that are instructions; between signed and unsigned words there is nothing to do. */
const conversions: Readonly<Record<string, Opcode>> = {
  "f32 i32": "i32.trunc_sat_f32_s",
  "f32 u32": "i32.trunc_sat_f32_u",
  "i32 f32": "f32.convert_i32_s",
  "u32 f32": "f32.convert_i32_u",
  "bool f32": "f32.convert_i32_u",
  "f32x4 i32x4": "i32x4.trunc_sat_f32x4_s",
  "f32x4 u32x4": "i32x4.trunc_sat_f32x4_u",
  "i32x4 f32x4": "f32x4.convert_i32x4_s",
  "u32x4 f32x4": "f32x4.convert_i32x4_u",
};
