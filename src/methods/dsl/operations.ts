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

/** Answers undefined when the operator does not go with these values; the caller says so at the right place. */
type Rule = (left: Value, right: Value, builder: () => Builder) => Value | undefined;

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

/** Both sides of an operator as tensors. */
const tensors = (left: Value, right: Value, builder: () => Builder): (number | undefined)[] => [
  asTensor(left, builder, right),
  asTensor(right, builder, left),
];

/** An operator from an operator or a matrix. */
export function asOperator(value: Value, builder: () => Builder): number | undefined {
  if (value.kind === "operator") return value.id;
  if (value.kind !== "tensor" || builder().shape(value.id).length !== 2) return undefined;
  return builder().dense(value.id);
}

/** A scalar f32[] from a number or a tensor with one entry. */
function asScalar(value: Value, builder: () => Builder): number | undefined {
  if (isNumber(value)) return builder().constant(value.value);
  if (value.kind !== "tensor") return undefined;
  const one = builder()
    .shape(value.id)
    .every((n) => n === 1);
  return one ? builder().reshape(value.id, []) : undefined;
}

const isOperator = (value: Value): boolean => value.kind === "operator";

function scaled(operator: number, scalar: number | undefined, builder: () => Builder): Value | undefined {
  return scalar === undefined ? undefined : operatorValue(builder().add("op.scale", [operator, scalar]));
}

/** A sum with an operator in it is a sum of operators. */
function operatorSum(left: Value, right: Value, sign: 1 | -1, builder: () => Builder): Value | undefined {
  const [a, b] = [asOperator(left, builder), asOperator(right, builder)];
  if (a === undefined || b === undefined) return undefined;
  const term = sign === 1 ? b : builder().add("op.scale", [b, builder().constant(-1)]);
  return operatorValue(builder().add("op.add", [a, term]));
}

const sum =
  (sign: 1 | -1): Rule =>
  (left, right, builder) => {
    if (right.kind === "absent") return left;
    if (left.kind === "absent") return sign === 1 ? right : negated(right, builder);
    if (isOperator(left) || isOperator(right)) return operatorSum(left, right, sign, builder);
    const [a, b] = tensors(left, right, builder);
    if (a === undefined || b === undefined) return undefined;
    return tensorValue(sign === 1 ? builder().plus(a, b) : builder().sub(a, b));
  };

const elementwise: Rule = (left, right, builder) => {
  if (left.kind === "absent" || right.kind === "absent") return absent;
  const [a, b] = tensors(left, right, builder);
  return a === undefined || b === undefined ? undefined : tensorValue(builder().mul(a, b));
};

/** A scalar times anything. */
const times: Rule = (left, right, builder) => {
  if (left.kind === "absent" || right.kind === "absent") return absent;
  if (right.kind === "operator") return scaled(right.id, asScalar(left, builder), builder);
  if (left.kind === "operator") return scaled(left.id, asScalar(right, builder), builder);
  if (asScalar(left, builder) === undefined && asScalar(right, builder) === undefined) return undefined;
  return elementwise(left, right, builder);
};

const quotient: Rule = (left, right, builder) => {
  if (left.kind === "absent") return absent;
  if (left.kind === "operator")
    return isNumber(right) ? scaled(left.id, builder().constant(1 / right.value), builder) : undefined;
  if (left.kind === "tensor" && isNumber(right)) return tensorValue(builder().scale(left.id, 1 / right.value));
  const [a, b] = [asTensor(left, builder), asTensor(right, builder)];
  return a === undefined || b === undefined ? undefined : tensorValue(builder().div(a, b));
};

const product: Rule = (left, right, builder) => {
  if (right.kind === "absent") return absent;
  if (left.kind === "operator" && right.kind === "tensor" && builder().shape(right.id).length === 1)
    return tensorValue(builder().apply(left.id, right.id));
  const [a, b] = [asOperator(left, builder), asOperator(right, builder)];
  return a === undefined || b === undefined ? undefined : operatorValue(builder().add("op.compose", [a, b]));
};

const comparison =
  (op: "lt" | "le" | "eq", turned = false, not = false): Rule =>
  (left, right, builder) => {
    const sides = tensors(left, right, builder);
    const [a, b] = turned ? sides.reverse() : sides;
    if (a === undefined || b === undefined) return undefined;
    const made = builder().compare(op, a, b);
    return tensorValue(not ? builder().add("not", [made]) : made);
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

function negated(value: Value, builder: () => Builder): Value | undefined {
  const computed = entrywise((x) => -x, value);
  if (computed !== undefined) return computed;
  if (value.kind === "tensor") return tensorValue(builder().neg(value.id));
  if (value.kind === "operator") return scaled(value.id, builder().constant(-1), builder);
  return value.kind === "absent" ? absent : undefined;
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

/** What `make` makes, or undefined where the graph refuses the types: the language has its own words for what goes together. */
function whereTypesFit(make: () => Value | undefined): Value | undefined {
  try {
    return make();
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
  const areKnown = a.kind === "known" && b.kind === "known";
  const { build, wanted } = binaryOperators[operator];
  const made = areKnown ? undefined : whereTypesFit(() => build?.(a, b, () => scope.builderOrFail(at)));
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
  const b = scope.builderOrFail(at);
  const [left, right] = [graphValue(scope, yes, at), graphValue(scope, no, at)];
  const [x, y] = tensors(left, right, () => b);
  if (x === undefined || y === undefined) throw notTogether(scope, "? :", "two numbers or tensors", [yes, no], at);
  const shape = commonShape("where", commonShape("where", b.shape(x), b.shape(y)), b.shape(condition));
  const wide = (id: number): number => b.broadcastTo(id, shape);
  return tensorValue(b.select(wide(condition), wide(x), wide(y)));
}

/** Throws METHOD-TYPE. */
export function negative(scope: Scope, value: Value, at: Place): Value {
  const result = negated(value, () => scope.builderOrFail(at));
  if (result !== undefined) return result;
  throw scope.misfit(at, "This has no negative.", value);
}
