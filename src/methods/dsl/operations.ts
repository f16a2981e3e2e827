/** Operators of the language at their places in a fragment: what does not go together is an error there. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { applyBinary, negated, wanted } from "./arithmetic.ts";
import type { BinaryOperator, Place } from "./ast.ts";
import type { Scope } from "./scope.ts";
import { describe, type Value } from "./value.ts";

/** A type error of the graph as METHOD-TYPE at a place in the fragment; another error as it is. */
export function atPlace(scope: Scope, at: Place, error: unknown): unknown {
  if (!(error instanceof WebpeftError) || !error.code.startsWith("IR-")) return error;
  const { message, expected, got } = error;
  return scope.error("METHOD-TYPE", at, {
    message: `${message}.`,
    ...(expected === undefined ? {} : { expected }),
    ...(got === undefined ? {} : { got }),
  });
}

/** Throws METHOD-TYPE. */
export function combined(scope: Scope, operator: BinaryOperator, left: Value, right: Value, at: Place): Value {
  const result = applyBinary(operator, left, right, () => scope.builderOrFail(at));
  if (result !== undefined) return result;
  const builder = scope.build?.builder;
  throw scope.error("METHOD-TYPE", at, {
    message: `${operator} does not go with these.`,
    expected: wanted[operator],
    got: `${describe(left, builder)} ${operator} ${describe(right, builder)}`,
  });
}

/** Throws METHOD-TYPE. */
export function negative(scope: Scope, value: Value, at: Place): Value {
  const result = negated(value, () => scope.builderOrFail(at));
  if (result !== undefined) return result;
  throw scope.error("METHOD-TYPE", at, {
    message: "This has no negative.",
    got: describe(value, scope.build?.builder),
  });
}
