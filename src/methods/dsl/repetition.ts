/** Counted loops in expressions: `prod` and `iterate`. */
import type { Argument, Expression, Place } from "./ast.ts";
import { limitError } from "./limits.ts";
import type { Scope } from "./scope.ts";
import { type Known, known, type Value } from "./value.ts";

type Locals = ReadonlyMap<string, Value>;

/** What the loops need of the evaluator. */
export interface Evaluator {
  evaluate(expression: Expression, locals: Locals): Value;
  known(expression: Expression, locals: Locals): Known;
}

interface Loop {
  readonly name: string;
  readonly from: number;
  readonly turns: number;
  /** Named arguments between the range and the body. */
  readonly named: readonly Argument[];
  readonly body: Expression;
}

/** The parts of `name(i: from..to, x: ..., body)`. Throws METHOD-ARGUMENT and METHOD-LIMIT. */
function loopOf(
  scope: Scope,
  call: string,
  given: readonly Argument[],
  at: Place,
  locals: Locals,
  evaluator: Evaluator,
): Loop {
  const [range, ...rest] = given;
  const body = rest.pop();
  if (range?.name === undefined || range.to === undefined || body === undefined || body.name !== undefined) {
    throw scope.error("METHOD-ARGUMENT", at, {
      message: `${call} wants a range and a body.`,
      expected: `${call}(i: 0..n, body)`,
    });
  }
  const [from, to] = [evaluator.known(range.value, locals), evaluator.known(range.to, locals)];
  const turns = typeof from === "number" && typeof to === "number" ? to - from : 0;
  if (!Number.isSafeInteger(turns) || turns < 1) {
    throw scope.error("METHOD-ARGUMENT", range.at, {
      message: `${call} wants at least one turn.`,
      got: `${from}..${to}`,
    });
  }
  if (turns > scope.mostTurns)
    throw limitError(scope.model.method.file, `${call} of ${turns} turns`, scope.mostTurns, at);
  return { name: range.name, from: from as number, turns, named: rest, body: body.value };
}

/** `prod(i: 0..n, P: ..., body)`: body for i = 0 @ body for i = 1 @ ...; names given in between hold inside the body. */
export function repeatedProduct(
  scope: Scope,
  given: readonly Argument[],
  at: Place,
  locals: Locals,
  evaluator: Evaluator & { product(left: Value, right: Value): Value },
): Value {
  const { name, from, turns, named, body } = loopOf(scope, "prod", given, at, locals, evaluator);
  const factors = Array.from({ length: turns }, (_unused, turn) =>
    scope.inTurn(turn, () => {
      const inner = new Map(locals).set(name, known(from + turn));
      for (const { name: own, value } of named) if (own !== undefined) inner.set(own, evaluator.evaluate(value, inner));
      return evaluator.evaluate(body, inner);
    }),
  );
  return factors.reduce((product, factor) => evaluator.product(product, factor));
}

/**
 * `iterate(i: 0..n, x: first, body)`: x is what the body made in the turn before, and `first` in the first one. Names given behind x hold
 * inside the body.
 */
export function iterated(
  scope: Scope,
  given: readonly Argument[],
  at: Place,
  locals: Locals,
  evaluator: Evaluator,
): Value {
  const { name, from, turns, named, body } = loopOf(scope, "iterate", given, at, locals, evaluator);
  const [start, ...more] = named;
  if (start?.name === undefined) {
    throw scope.error("METHOD-ARGUMENT", at, {
      message: "iterate wants to know what it begins with.",
      expected: "iterate(i: 0..n, x: first, body)",
    });
  }
  let value = evaluator.evaluate(start.value, locals);
  for (let turn = 0; turn < turns; turn++) {
    const inner = new Map(locals).set(name, known(from + turn)).set(start.name, value);
    value = scope.inTurn(turn, () => {
      for (const { name: own, value: given } of more)
        if (own !== undefined) inner.set(own, evaluator.evaluate(given, inner));
      return evaluator.evaluate(body, inner);
    });
  }
  return value;
}
