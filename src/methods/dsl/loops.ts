/** Counted loops in expressions: `prod` and `iterate`. */
import type { CallExpression, Expression } from "./ast.ts";
import { combined } from "./operations.ts";
import type { Scope } from "./scope.ts";
import { type Known, known, type Value } from "./value.ts";

/** What the loops need of the evaluator. */
interface Evaluator {
  readonly evaluate: (scope: Scope, expression: Expression) => Value;
  readonly evaluateKnown: (scope: Scope, expression: Expression) => Known;
}

/**
 * - `prod(i: from..to, P: ..., body)`: body for the first i @ body for the next @ ...
 * - `iterate(i: from..to, x: first, P: ..., body)`: x is what the body made in the turn before, and `first` in the first one.
 *
 * Names that are given in between hold inside of the body. Throws METHOD-ARGUMENT and METHOD-LIMIT.
 */
export function loop(
  scope: Scope,
  name: "prod" | "iterate",
  { arguments: given, at }: CallExpression,
  { evaluate, evaluateKnown }: Evaluator,
): Value {
  const [range, ...named] = given;
  const body = named.pop();
  if (range?.name === undefined || range.to === undefined || body === undefined || body.name !== undefined) {
    throw scope.error("METHOD-ARGUMENT", at, {
      message: `${name} wants a range and a body.`,
      expected: `${name}(i: 0..n, body)`,
    });
  }
  const [from, to] = [evaluateKnown(scope, range.value), evaluateKnown(scope, range.to)];
  const turns = typeof from === "number" && typeof to === "number" ? to - from : 0;
  if (!Number.isSafeInteger(turns) || turns < 1) {
    const got = `${from}..${to}`;
    throw scope.error("METHOD-ARGUMENT", range.at, { message: `${name} wants at least one turn.`, got });
  }
  if (turns > scope.mostTurns) throw scope.limit(at, `${name} of ${turns} turns`, scope.mostTurns);
  const first = name === "iterate" ? named.shift() : undefined;
  if (name === "iterate" && first?.name === undefined) {
    throw scope.error("METHOD-ARGUMENT", at, {
      message: "iterate wants to know what it begins with.",
      expected: "iterate(i: 0..n, x: first, body)",
    });
  }
  const made: Value[] = first === undefined ? [] : [evaluate(scope, first.value)];
  for (let turn = 0; turn < turns; turn++) {
    const inner = new Map(scope.locals).set(range.name, known((from as number) + turn));
    if (first?.name !== undefined) inner.set(first.name, made.pop()!);
    const work = (): Value => {
      for (const { name: own, value } of named) if (own !== undefined) inner.set(own, evaluate(scope, value));
      return evaluate(scope, body.value);
    };
    made.push(scope.inTurn(turn, inner, work));
  }
  return made.reduce((product, factor) => combined(scope, "@", product, factor, at));
}
