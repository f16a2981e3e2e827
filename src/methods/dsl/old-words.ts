/** Words that functions had before one word stood for what is known and for tensors; texts that have them are read as if they had today's. */
import type { BinaryOperator, CallExpression, Expression } from "./ast.ts";

const renamed = {
  root: "sqrt",
  ln: "log",
  at_least: "max",
  largest: "max",
  powers: "power",
  remainder: "mod",
  count: "size",
};
const functions = new Map(Object.entries(renamed));

const operators = new Map<string, BinaryOperator>(
  Object.entries({ less: "<", equal: "==", both: "and", quotient: "/" } as const),
);

/** A call of an old word as it is written today: of another name, or the expression that took its place. */
export function inTodaysWords(call: CallExpression): Expression {
  const { callee, arguments: given, at } = call;
  if (callee.kind !== "name") return call;
  const [left, right, more] = given.map(({ value }) => value);
  if (callee.name === "where" && left !== undefined && right !== undefined && more !== undefined)
    return { kind: "choice", condition: left, yes: right, no: more, at };
  const called = (name: string): CallExpression => ({ ...call, callee: { ...callee, name } });
  const operator = operators.get(callee.name);
  if (operator === undefined || left === undefined || right === undefined)
    return called(functions.get(callee.name) ?? callee.name);
  const made: Expression = { kind: "binary", operator, left, right, at };
  return operator === "/" ? { ...called("floor"), arguments: [{ value: made, at }] } : made;
}
