/** Operators of the language on values of every kind, at their places in a fragment: what does not go together is an error there. */
import { type Builder, commonShape } from "../../ir/builder.ts";
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { BinaryOperator, Place } from "./ast.ts";
import { graphValue } from "./constants.ts";
import { togetherHelp } from "./helps.ts";
import type { Scope } from "./scope.ts";
import { absent, describe, isNumbers, type Known, known, operatorValue, tensorValue, type Value } from "./value.ts";

/** The number or the numbers of a value; undefined where it has none before a graph is built. */
function numbersOf(value: Value): number | ArrayLike<number> | undefined {
  if (value.kind === "host") return value.array.data;
  if (value.kind !== "known") return undefined;
  return typeof value.value === "number" || isNumbers(value.value) ? value.value : undefined;
}

/** f of one value or of two, entry by entry; a number goes with every entry of the other. Undefined where they have no numbers yet. */
export function entrywise(
  f: (x: number, y: number) => number,
  left: Value,
  right: Value = known(0),
): Value | undefined {
  const [a, b] = [numbersOf(left), numbersOf(right)];
  if (a === undefined || b === undefined) return undefined;
  if (typeof a === "number" && typeof b === "number") return known(f(a, b));
  const length = typeof a === "number" ? (b as ArrayLike<number>).length : a.length;
  if (typeof a !== "number" && typeof b !== "number" && a.length !== b.length) return undefined;
  const made = new Float64Array(length);
  for (let i = 0; i < length; i++) made[i] = f(typeof a === "number" ? a : a[i]!, typeof b === "number" ? b : b[i]!);
  if (left.kind !== "host" && right.kind !== "host") return known([...made]);
  const held = [left, right].flatMap((side) => (side.kind === "host" ? (side.array.held ?? []) : []));
  return { kind: "host", array: { data: made, whole: made.every(Number.isSafeInteger), held: [...new Set(held)] } };
}

/** Throws IR-TYPE when the operator does not go with these values; the caller says so at the right place. */
type Rule = (left: Value, right: Value, builder: Builder) => Value;

const isNumber = (value: Value): value is { kind: "known"; value: number } =>
  value.kind === "known" && typeof value.value === "number";

/** A tensor from a tensor, a number or an operator; undefined for anything else. Beside a tensor of whole numbers a number is one too. */
export function asTensor(value: Value, builder: () => Builder, beside?: Value): number | undefined {
  if (value.kind === "tensor") return value.id;
  if (value.kind === "operator") return builder().add("op.to_dense", [value.id]);
  if (!isNumber(value)) return undefined;
  const dtype = beside?.kind === "tensor" ? builder().tensorType(beside.id).dtype : "f32";
  return builder().constant(value.value, [], dtype === "i32" && Number.isInteger(value.value) ? "i32" : "f32");
}

/** An operator from an operator or a matrix. */
export function asOperator(value: Value, builder: () => Builder): number | undefined {
  if (value.kind === "operator") return value.id;
  if (value.kind !== "tensor" || builder().shape(value.id).length !== 2) return undefined;
  return builder().dense(value.id);
}

/** A scalar f32[] from a number or a tensor with one entry. */
function asScalar(value: Value, b: Builder): number | undefined {
  if (isNumber(value)) return b.constant(value.value);
  const isOne = value.kind === "tensor" && b.shape(value.id).every((n) => n === 1);
  return isOne ? b.reshape(value.id, []) : undefined;
}

/** What there is. */
function fitting<T>(made: T | undefined): T {
  if (made !== undefined) return made;
  throw new WebpeftError("IR-TYPE", { message: "the operator does not go with this" });
}

/** Both sides of an operator as tensors. */
const tensors = (left: Value, right: Value, b: Builder): [number, number] => [
  fitting(asTensor(left, () => b, right)),
  fitting(asTensor(right, () => b, left)),
];

const operators = (left: Value, right: Value, b: Builder): [number, number] => [
  fitting(asOperator(left, () => b)),
  fitting(asOperator(right, () => b)),
];

const isOperator = (value: Value): boolean => value.kind === "operator";

const scaled = (operator: number, scalar: number | undefined, b: Builder): Value =>
  operatorValue(b.add("op.scale", [operator, fitting(scalar)]));

/** With an operator in it, a sum of operators. */
const sum =
  (sign: 1 | -1): Rule =>
  (left, right, b) => {
    if (right.kind === "absent") return left;
    if (left.kind === "absent") return sign === 1 ? right : negated(right, b);
    if (isOperator(left) || isOperator(right)) {
      const [x, y] = operators(left, right, b);
      return operatorValue(b.add("op.add", [x, sign === 1 ? y : b.add("op.scale", [y, b.constant(-1)])]));
    }
    const [x, y] = tensors(left, right, b);
    return tensorValue(sign === 1 ? b.plus(x, y) : b.sub(x, y));
  };

const elementwise: Rule = (left, right, b) =>
  left.kind === "absent" || right.kind === "absent" ? absent : tensorValue(b.mul(...tensors(left, right, b)));

/** A scalar times anything. */
const times: Rule = (left, right, b) => {
  if (left.kind === "absent" || right.kind === "absent") return absent;
  if (right.kind === "operator") return scaled(right.id, asScalar(left, b), b);
  if (left.kind === "operator") return scaled(left.id, asScalar(right, b), b);
  fitting(asScalar(left, b) ?? asScalar(right, b));
  return elementwise(left, right, b);
};

const quotient: Rule = (left, right, b) => {
  if (left.kind === "absent") return absent;
  const inverse = isNumber(right) ? 1 / right.value : undefined;
  if (left.kind === "operator") return scaled(left.id, inverse === undefined ? undefined : b.constant(inverse), b);
  if (left.kind === "tensor" && inverse !== undefined) return tensorValue(b.scale(left.id, inverse));
  const [x, y] = [left, right].map((side) => fitting(asTensor(side, () => b)));
  return tensorValue(b.div(x!, y!));
};

const product: Rule = (left, right, b) => {
  if (right.kind === "absent") return absent;
  if (left.kind === "operator" && right.kind === "tensor" && b.shape(right.id).length === 1)
    return tensorValue(b.apply(left.id, right.id));
  return operatorValue(b.add("op.compose", operators(left, right, b)));
};

const comparison =
  (op: "lt" | "le" | "eq", turned = false, not = false): Rule =>
  (left, right, b) => {
    const [x, y] = tensors(left, right, b);
    const made = turned ? b.compare(op, y, x) : b.compare(op, x, y);
    return tensorValue(not ? b.add("not", [made]) : made);
  };

interface BinaryRecord {
  /** What it wants, for messages. */
  readonly wanted: string;
  /** Of known numbers, and of lists of them entry by entry. */
  readonly numbers?: (x: number, y: number) => number;
  /** Of values of any kind that are all known. */
  readonly known?: (x: Known, y: Known) => Known | undefined;
  readonly build?: Rule;
}

const equal = (x: Known, y: Known): boolean => JSON.stringify(x) === JSON.stringify(y);
const ordered =
  (f: (x: number, y: number) => boolean) =>
  (x: Known, y: Known): Known | undefined =>
    typeof x === "number" && typeof y === "number" ? f(x, y) : undefined;
const twoNumbers = "two numbers, or tensors of shapes that go together";
const twoValues = "two known values, or tensors of shapes that go together";

export const binaryOperators: Readonly<Record<BinaryOperator, BinaryRecord>> = {
  "+": {
    wanted: "two numbers, texts, tensors of shapes that go together, or operators of one size",
    numbers: (x, y) => x + y,
    known: (x, y) => (typeof x === "string" && typeof y === "string" ? x + y : undefined),
    build: sum(1),
  },
  "-": {
    wanted: "two numbers, tensors of shapes that go together, or operators of one size",
    numbers: (x, y) => x - y,
    build: sum(-1),
  },
  "*": {
    wanted: "a number or scalar on one side; write .* for entry by entry and @ for products of matrices",
    numbers: (x, y) => x * y,
    build: times,
  },
  ".*": { wanted: "two tensors of shapes that go together", numbers: (x, y) => x * y, build: elementwise },
  "/": {
    wanted: "numbers (not by 0), tensors of shapes that go together, or an operator by a number",
    numbers: (x, y) => x / y,
    build: quotient,
  },
  "@": { wanted: "operators or matrices whose sizes chain, or an operator and a vector", build: product },
  "==": { wanted: twoValues, known: equal, build: comparison("eq") },
  "!=": { wanted: twoValues, known: (x, y) => !equal(x, y), build: comparison("eq", false, true) },
  "<": { wanted: twoNumbers, known: ordered((x, y) => x < y), build: comparison("lt") },
  "<=": { wanted: twoNumbers, known: ordered((x, y) => x <= y), build: comparison("le") },
  ">": { wanted: twoNumbers, known: ordered((x, y) => x > y), build: comparison("lt", true) },
  ">=": { wanted: twoNumbers, known: ordered((x, y) => x >= y), build: comparison("le", true) },
  and: { wanted: "two conditions" },
  or: { wanted: "two conditions" },
};

function negated(value: Value, b: Builder): Value {
  if (value.kind === "tensor") return tensorValue(b.neg(value.id));
  if (value.kind === "operator") return scaled(value.id, b.constant(-1), b);
  return fitting(entrywise((x) => -x, value));
}

/** `left operator right` before a graph is built, or undefined when they do not go together there. */
function applyKnown(operator: BinaryOperator, left: Value, right: Value): Value | undefined {
  const { numbers, known: compute } = binaryOperators[operator];
  const result = left.kind === "known" && right.kind === "known" ? compute?.(left.value, right.value) : undefined;
  if (result !== undefined) return known(result);
  const byZero = operator === "/" && isNumber(right) && right.value === 0;
  return numbers === undefined || byZero ? undefined : entrywise(numbers, left, right);
}

/** A type error of the graph as METHOD-TYPE at a place in the fragment; another error as it is. */
export function atPlace(scope: Scope, at: Place, error: unknown): unknown {
  if (!(error instanceof WebpeftError) || !error.code.startsWith("IR-")) return error;
  const { message, expected, got } = error;
  return scope.error("METHOD-TYPE", at, { message: `${message}.`, expected, got });
}

function notTogether(scope: Scope, what: string, expected: string, sides: readonly Value[], at: Place): WebpeftError {
  const help = togetherHelp(what, sides, scope.build?.builder);
  const got = sides.map((side) => describe(side, scope.build?.builder)).join(` ${what} `);
  return scope.error("METHOD-TYPE", at, { message: `${what} does not go with these.`, expected, got, help });
}

/** What `make` makes of values of the graph; undefined where they do not fit: the language has its own words for what goes together. */
function whereTypesFit<T>(scope: Scope, at: Place, sides: readonly Value[], make: (b: Builder) => T): T | undefined {
  if (!sides.some(({ kind }) => kind === "tensor" || kind === "operator" || kind === "absent")) return undefined;
  try {
    return make(scope.builderOrFail(at));
  } catch (error) {
    if (!(error instanceof WebpeftError) || error.code !== "IR-TYPE") throw error;
    return undefined;
  }
}

/** Throws METHOD-TYPE. */
export function combined(scope: Scope, operator: BinaryOperator, left: Value, right: Value, at: Place): Value {
  const computed = applyKnown(operator, left, right);
  if (computed !== undefined) return computed;
  const isReal = (side: Value): boolean =>
    side.kind === "operator" || (side.kind === "tensor" && scope.builderOrFail(at).tensorType(side.id).dtype === "f32");
  const isAlike = left.kind === right.kind;
  const a = isAlike ? left : graphValue(scope, left, at, isReal(right));
  const b = isAlike ? right : graphValue(scope, right, at, isReal(left));
  const { build, wanted } = binaryOperators[operator];
  const made = whereTypesFit(scope, at, [a, b], (builder) => build?.(a, b, builder));
  if (made !== undefined) return made;
  throw notTogether(scope, operator, wanted, [left, right], at);
}

/** `and` and `or` of conditions of which one is a tensor. */
export function both(
  scope: Scope,
  operator: "and" | "or",
  left: boolean | number,
  right: boolean | number,
  at: Place,
): Value {
  const b = scope.builderOrFail(at);
  // What is known has not decided.
  if (typeof left === "boolean") return tensorValue(right as number);
  if (typeof right === "boolean") return right === (operator === "or") ? known(right) : tensorValue(left);
  if (operator === "and") return tensorValue(b.compare("and", left, right));
  return tensorValue(b.add("not", [b.compare("and", b.add("not", [left]), b.add("not", [right]))]));
}

/** `condition ? yes : no` where the condition differs from entry to entry; shapes go together as those of a sum do. Throws METHOD-TYPE. */
export function chosenEntries(scope: Scope, condition: number, yes: Value, no: Value, at: Place): Value {
  const [left, right] = [graphValue(scope, yes, at), graphValue(scope, no, at)];
  const sides = whereTypesFit(scope, at, [tensorValue(condition)], (b) => tensors(left, right, b));
  if (sides === undefined) throw notTogether(scope, "? :", "two numbers or tensors", [yes, no], at);
  const b = scope.builderOrFail(at);
  const shape = [...sides, condition].map((id) => b.shape(id)).reduce((x, y) => commonShape("where", x, y));
  const [chosen, x, y] = [condition, ...sides].map((id) => b.broadcastTo(id, shape));
  return tensorValue(b.select(chosen!, x!, y!));
}

/** Throws METHOD-TYPE. */
export function negative(scope: Scope, value: Value, at: Place): Value {
  if (value.kind === "absent") return absent;
  if (value.kind === "tensor" || value.kind === "operator") return negated(value, scope.builderOrFail(at));
  const computed = entrywise((x) => -x, value);
  if (computed !== undefined) return computed;
  throw scope.misfit(at, "This has no negative.", value);
}
