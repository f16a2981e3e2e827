/**
 * The grammar of expressions.
 *
 *   expression = binary ("?" expression ":" expression)?          loosest first: or, and, not, comparison, + -, * / .*, -, @, postfix
 *   postfix    = primary ("." name | "(" argument,* ")" | "[" index,+ "]")*
 *   argument   = (name ":")? expression (".." expression)?
 *   index      = expression | expression? ":" expression?
 */
import type { Argument, BinaryOperator, CallExpression, Expression, IndexItem } from "./ast.ts";
import { inTodaysWords } from "./old-words.ts";
import type { Reader } from "./reader.ts";
import { unquoted } from "./tokens.ts";

/** What binds the operands of a level; `prefix` stands before an operand of its own level. */
const levels: readonly { readonly operators: readonly string[]; readonly prefix?: "not" | "-" }[] = [
  { operators: ["or"] },
  { operators: ["and"] },
  { operators: ["==", "!=", "<=", ">=", "<", ">"], prefix: "not" },
  { operators: ["+", "-"] },
  { operators: ["*", "/", ".*"] },
  { operators: ["@"], prefix: "-" },
];

export const readExpression = (r: Reader): Expression => r.as("an expression", () => choice(r));

function choice(r: Reader): Expression {
  const condition = binary(r, 0);
  if (r.accept("?") === undefined) return condition;
  const yes = choice(r);
  r.expect(":");
  return { kind: "choice", condition, yes, no: choice(r), at: condition.at };
}

function binary(r: Reader, place: number): Expression {
  const level = levels[place];
  if (level === undefined) return postfix(r);
  const prefix = level.prefix === undefined ? undefined : r.accept(level.prefix);
  if (prefix !== undefined) return { kind: "unary", operator: level.prefix!, operand: binary(r, place), at: prefix.at };
  let left = binary(r, place + 1);
  for (let sign = r.accept(...level.operators); sign !== undefined; sign = r.accept(...level.operators)) {
    const right = binary(r, place + 1);
    left = { kind: "binary", operator: sign.image as BinaryOperator, left, right, at: sign.at };
  }
  return left;
}

function postfix(r: Reader): Expression {
  let made = readPrimary(r);
  for (;;) {
    const dot = r.accept(".");
    if (dot !== undefined) made = { kind: "member", object: made, name: r.name(), at: dot.at };
    else if (r.sees("(")) made = inTodaysWords(callOf(r, made, readArguments(r)));
    else if (r.sees("[")) made = { kind: "index", object: made, items: indices(r), at: made.at };
    else return made;
  }
}

const callOf = (r: Reader, callee: Expression, given: readonly Argument[]): CallExpression => ({
  ...{ kind: "call", callee, arguments: given, ordinal: r.calls++, at: callee.at },
});

/** A name with arguments, and nothing else. */
export function readCall(r: Reader): CallExpression {
  const { image: name, at } = r.of("name");
  return callOf(r, { kind: "name", name, at }, readArguments(r));
}

export const readArguments = (r: Reader): Argument[] => r.as("arguments", () => r.listIn("(", ")", () => argument(r)));

function argument(r: Reader): Argument {
  const { at } = r.next;
  const value = readExpression(r);
  const isName = value.kind === "name" && r.accept(":") !== undefined;
  const named = isName ? { name: value.name, value: readExpression(r) } : { value };
  return { ...named, at, to: r.behind("..", () => readExpression(r)) };
}

const indices = (r: Reader): IndexItem[] =>
  r.as("an index", () => {
    r.expect("[");
    const items = r.several(() => index(r));
    r.expect("]");
    return items;
  });

function index(r: Reader): IndexItem {
  const { at } = r.next;
  const start = r.sees(":") ? undefined : readExpression(r);
  if (start !== undefined && !r.sees(":")) return { kind: "element", value: start, at };
  r.expect(":");
  return { kind: "slice", at, start, limit: r.sees(",", "]") ? undefined : readExpression(r) };
}

const constants: Readonly<Record<string, boolean | null>> = { true: true, false: false, null: null };

export function readPrimary(r: Reader): Expression {
  const { kind, image, at } = r.next;
  if (r.sees("["))
    return { kind: "list", items: r.as("a list", () => r.listIn("[", "]", () => readExpression(r))), at };
  if (r.sees("{")) return { kind: "map", entries: r.as("a map", () => r.listIn("{", "}", () => entry(r))), at };
  if (r.accept("(") !== undefined) {
    const inner = readExpression(r);
    r.expect(")");
    return inner;
  }
  const isConstant = kind === "word" && Object.hasOwn(constants, image);
  if (kind !== "name" && kind !== "number" && kind !== "text" && !isConstant) return r.fail("an expression");
  r.take();
  if (kind === "name") return { kind: "name", name: image, at };
  const value = kind === "number" ? Number(image) : kind === "text" ? unquoted(image) : constants[image]!;
  return { kind: "literal", value, at };
}

function entry(r: Reader): [string, Expression] {
  const key = r.text();
  r.expect(":");
  return [key, readExpression(r)];
}

/** `if CONDITION`. */
export function readCondition(r: Reader): Expression {
  r.expect("if");
  return readExpression(r);
}

/** A default: what follows it in parentheses are options and no arguments. */
export function readDefault(r: Reader): Expression {
  const minus = r.accept("-");
  const operand = readPrimary(r);
  return minus === undefined ? operand : { kind: "unary", operator: "-", operand, at: minus.at };
}
