/** Operators of the language on values of every kind. */
import type { Builder } from "../../ir/builder.ts";
import type { BinaryOperator } from "./ast.ts";
import { absent, type Known, known, operatorValue, tensorValue, type Value } from "./value.ts";

/** Answers undefined when the operator does not go with these values; the caller says so at the right place. */
type Rule = (left: Value, right: Value, builder: () => Builder) => Value | undefined;

function knownResult(operator: BinaryOperator, a: Known, b: Known): Known | undefined {
  if (operator === "==") return JSON.stringify(a) === JSON.stringify(b);
  if (operator === "!=") return JSON.stringify(a) !== JSON.stringify(b);
  if (typeof a === "string" && typeof b === "string" && operator === "+") return a + b;
  if (typeof a !== "number" || typeof b !== "number") return undefined;
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
    case ".*":
      return a * b;
    case "/":
      return b === 0 ? undefined : a / b;
    case "<":
      return a < b;
    case "<=":
      return a <= b;
    case ">":
      return a > b;
    case ">=":
      return a >= b;
    default:
      return undefined;
  }
}

const isNumber = (value: Value): value is { kind: "known"; value: number } =>
  value.kind === "known" && typeof value.value === "number";

/** A tensor from a tensor or a number; undefined for anything else. Beside a tensor of whole numbers a number is one too. */
function asTensor(value: Value, builder: () => Builder, beside?: Value): number | undefined {
  if (value.kind === "tensor") return value.id;
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

const rules: Partial<Record<BinaryOperator, Rule>> = {
  "+": sum(1),
  "-": sum(-1),
  "*": times,
  ".*": elementwise,
  "/": quotient,
  "@": product,
};

/** `left operator right`, or undefined when they do not go together. */
export function applyBinary(
  operator: BinaryOperator,
  left: Value,
  right: Value,
  builder: () => Builder,
): Value | undefined {
  if (left.kind === "known" && right.kind === "known") {
    const result = knownResult(operator, left.value, right.value);
    return result === undefined ? undefined : known(result);
  }
  return rules[operator]?.(left, right, builder);
}

export function negated(value: Value, builder: () => Builder): Value | undefined {
  if (isNumber(value)) return known(-value.value);
  if (value.kind === "tensor") return tensorValue(builder().neg(value.id));
  if (value.kind === "operator") return scaled(value.id, builder().constant(-1), builder);
  return value.kind === "absent" ? absent : undefined;
}

/** What an operator wants, for messages. */
export const wanted: Readonly<Record<BinaryOperator, string>> = {
  "+": "two numbers, texts, tensors of shapes that go together, or operators of one size",
  "-": "two numbers, tensors of shapes that go together, or operators of one size",
  "*": "a number or scalar on one side; write .* for entry by entry and @ for products of matrices",
  ".*": "two tensors of shapes that go together",
  "/": "numbers (not by 0), tensors of shapes that go together, or an operator by a number",
  "@": "operators or matrices whose sizes chain, or an operator and a vector",
  "==": "two known values",
  "!=": "two known values",
  "<": "two known numbers",
  "<=": "two known numbers",
  ">": "two known numbers",
  ">=": "two known numbers",
  and: "two conditions",
  or: "two conditions",
};
