/** Words that functions had before one word stood for what is known and for tensors; texts that have them are read as if they had today's. */
import type { Argument, BinaryOperator, Expression, Place } from "./ast.ts";

const functions: Readonly<Record<string, string>> = {
  root: "sqrt",
  ln: "log",
  at_least: "max",
  largest: "max",
  powers: "power",
  remainder: "mod",
  count: "size",
};

const operators: Readonly<Record<string, BinaryOperator>> = { less: "<", equal: "==", both: "and", quotient: "/" };

/** A call of an old word as it is written today: another name, or the expression that took its place. */
export function todaysWord(name: string, given: readonly Argument[], at: Place): string | Expression {
  const [left, right, more] = given.map(({ value }) => value);
  if (name === "where" && left !== undefined && right !== undefined && more !== undefined)
    return { kind: "choice", condition: left, yes: right, no: more, at };
  const operator = Object.hasOwn(operators, name) ? operators[name] : undefined;
  if (operator === undefined || left === undefined || right === undefined)
    return Object.hasOwn(functions, name) ? functions[name]! : name;
  return { kind: "binary", operator, left, right, at };
}
