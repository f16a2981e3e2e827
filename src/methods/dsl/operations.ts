/** Operators of the language at their places in a fragment: what does not go together is an error there. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { applyBinary, applyKnown, chosen, negated, wanted } from "./arithmetic.ts";
import type { BinaryOperator, Place } from "./ast.ts";
import { graphValue } from "./constants.ts";
import { togetherHelp } from "./helps.ts";
import type { Scope } from "./scope.ts";
import { describe, known, tensorValue, type Value } from "./value.ts";

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
  const made = whereTypesFit(() => applyBinary(operator, a, b, () => scope.builderOrFail(at)));
  if (made !== undefined) return made;
  throw notTogether(scope, operator, wanted(operator), [left, right], at);
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

/** `condition ? yes : no` where the condition differs from entry to entry. Throws METHOD-TYPE. */
export function chosenEntries(scope: Scope, condition: number, yes: Value, no: Value, at: Place): Value {
  const [x, y] = [yes, no].map((side) => graphValue(scope, side, at));
  const result = chosen(condition, x!, y!, () => scope.builderOrFail(at));
  if (result !== undefined) return result;
  throw notTogether(scope, "? :", "two numbers or tensors", [yes, no], at);
}

/** Throws METHOD-TYPE. */
export function negative(scope: Scope, value: Value, at: Place): Value {
  const result = negated(value, () => scope.builderOrFail(at));
  if (result !== undefined) return result;
  throw scope.misfit(at, "This has no negative.", value);
}
