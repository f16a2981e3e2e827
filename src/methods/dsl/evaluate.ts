/**
 * Evaluates expressions at a site: known values are computed, tensors and operators become graph nodes through the scope's builder.
 * Only the chosen side of `? :` and of `and`, `or` is evaluated, and a `let` only where it is used.
 */
import type { WebpeftError } from "../../ir/diagnostics.ts";
import { sizeOf } from "../../ir/types.ts";
import type { CallExpression, Expression, Item, OptionItem, Place, TensorItem } from "./ast.ts";
import { callBuiltin, siteMatches } from "./call.ts";
import { graphValue, namedConstant } from "./constants.ts";
import { wholeHelp } from "./helps.ts";
import { indexed, transposed } from "./indexing.ts";
import { limits } from "./limits.ts";
import { loop } from "./loops.ts";
import { atPlace, both, chosenEntries, combined, negative } from "./operations.ts";
import { checkValue, takeRoom } from "./room.ts";
import { memberName, noLocals, type Scope } from "./scope.ts";
import { describe, type HostArray, isWhole, type Known, known, tensorValue, type Value } from "./value.ts";
import { memberPath } from "./walk.ts";
import { predefined } from "./words.ts";

/** Throws METHOD-... at the expression; METHOD-LIMIT for one that costs or nests too much, METHOD-NUMBER for a number that is not finite. */
export function evaluate(scope: Scope, expression: Expression): Value {
  scope.enter(expression.at);
  const { builder } = scope.build ?? {};
  const location = { file: scope.model.method.file, line: expression.at.line };
  const value =
    builder === undefined
      ? placed(scope, expression)
      : builder.within({ scope: scope.site?.path ?? "", location }, () => placed(scope, expression));
  scope.leave();
  checkValue(scope, value, expression.at);
  return value;
}

/** Type errors of the graph are told at their place in the fragment. */
function placed(scope: Scope, expression: Expression): Value {
  try {
    return evaluateKind(scope, expression);
  } catch (error) {
    throw atPlace(scope, expression.at, error);
  }
}

function evaluateKind(scope: Scope, expression: Expression): Value {
  switch (expression.kind) {
    case "literal":
      return known(expression.value);
    case "name":
      return lookup(scope, expression.name, expression.at);
    case "list":
      return known(expression.items.map((item) => evaluateKnown(scope, item)));
    case "map":
      return known(Object.fromEntries(expression.entries.map(([key, value]) => [key, evaluateKnown(scope, value)])));
    case "unary":
      return unary(scope, expression.operator, expression.operand);
    case "binary":
      return binary(scope, expression);
    case "choice": {
      const chosen = truth(scope, expression.condition);
      if (typeof chosen === "boolean") return evaluate(scope, chosen ? expression.yes : expression.no);
      const [yes, no] = [expression.yes, expression.no].map((side) => evaluate(scope, side));
      return chosenEntries(scope, chosen, yes!, no!, expression.at);
    }
    case "member":
      return member(scope, expression);
    case "index":
      return entries(scope, expression);
    case "call":
      return call(scope, expression);
  }
}

/** Entries of a value, or a tensor of a family. */
function entries(scope: Scope, expression: Extract<Expression, { kind: "index" }>): Value {
  const { object, items, at } = expression;
  const [item] = items;
  if (object.kind === "name" && scope.isFamily(object.name) && items.length === 1 && item?.kind === "element") {
    const member = memberName(object.name, evaluateKnown(scope, item.value));
    if (scope.declared.has(member)) return lookup(scope, member, at);
    throw scope.error("METHOD-NAME", at, { message: `There is no ${member}.` });
  }
  return indexed(scope, evaluate(scope, object), items, at, (bound) => evaluateKnown(scope, bound));
}

/** A value that is known before any tensor exists. */
export function evaluateKnown(scope: Scope, expression: Expression): Known {
  const value = evaluate(scope, expression);
  if (value.kind === "known") return value.value;
  throw scope.error("METHOD-STATIC", expression.at, {
    ...{ message: "A known value is wanted here.", expected: "numbers, config fields and functions of them" },
    got: describe(value, scope.build?.builder),
  });
}

export function condition(scope: Scope, expression: Expression): boolean {
  const value = evaluateKnown(scope, expression);
  if (typeof value === "boolean") return value;
  throw noCondition(scope, expression.at, known(value));
}

/** A condition that is known, or the node of one that differs from entry to entry: the result of a comparison of tensors. */
function truth(scope: Scope, expression: Expression): boolean | number {
  const value = evaluate(scope, expression);
  if (value.kind === "tensor") return scope.builderOrFail(expression.at).cast(value.id, "bool");
  if (value.kind === "known" && typeof value.value === "boolean") return value.value;
  throw noCondition(scope, expression.at, value);
}

const noCondition = (scope: Scope, at: Place, value: Value): WebpeftError =>
  scope.misfit(at, "This is no condition.", value, "true or false", "Compare it: x != 0, x != null.");

function extentOf(scope: Scope, name: string, expression: Expression, least: number): number {
  const extent = evaluateKnown(scope, expression);
  if (isWhole(extent, least)) return extent;
  throw extentFault(scope, name, expression.at, extent, wholeHelp(expression));
}

export const extentFault = (scope: Scope, name: string, at: Place, extent: Known, help?: string): WebpeftError =>
  scope.error("METHOD-SHAPE", at, {
    ...{ message: `${name} has an extent that is not a whole number above 0.`, got: describe(known(extent)), help },
  });

/** How many numbers an option has. */
export const optionSize = (scope: Scope, { name, size }: OptionItem): number => extentOf(scope, name, size, 1);

/** The extents of a declared tensor. Throws METHOD-SHAPE, METHOD-LIMIT, METHOD-SIZE. One of a site may have no entries; whatever reads it then is refused. */
export function shapeOf(scope: Scope, item: TensorItem): number[] {
  if (item.shape.length > limits.rank) throw scope.limit(item.at, `${item.name} has too many axes`, limits.rank);
  const least = item.role === "param" || item.role === "buffer" ? 0 : 1;
  const shape = item.shape.map((expression) => extentOf(scope, item.name, expression, least));
  if (sizeOf(shape) > limits.elements) {
    throw scope.error("METHOD-SIZE", item.at, {
      ...{ message: `${item.name} is larger than any device takes.`, expected: `at most ${limits.elements} elements` },
      got: `[${shape.join(", ")}]`,
    });
  }
  takeRoom(scope, item, shape);
  return shape;
}

function lookup(scope: Scope, name: string, at: Place): Value {
  const local = scope.locals.get(name);
  if (local !== undefined) return local;
  const item = scope.declared.get(name);
  const declared = item === undefined ? undefined : scope.inTurn(0, noLocals, () => declaredValue(scope, item, at));
  const found = declared ?? scope.siteWeight(name, at) ?? predefined[name]?.value(scope);
  if (found !== undefined) return found;
  const builtin = scope.model.method.builtins.get(name);
  if (builtin?.parameters.every((p) => p.preset !== undefined)) {
    const bare: CallExpression = { kind: "call", callee: { kind: "name", name, at }, arguments: [], ordinal: 0, at };
    return callBuiltin(scope, builtin, bare, []);
  }
  throw scope.error("METHOD-NAME", at, { message: `Nothing is called ${name} here.` });
}

/** The value of a name that a declaration gives; it knows nothing of loops around the place where it is read. */
function declaredValue(scope: Scope, item: Item, at: Place): Value | undefined {
  switch (item.kind) {
    case "field":
      return known(scope.field(item.name) ?? null);
    case "let":
    case "stream":
    case "report":
      return item.shared === true && scope.site !== undefined
        ? lookup(scope.whole, item.name, at)
        : scope.once(item.name, at, () => evaluate(scope, item.value));
    case "input":
      return tensorValue(scope.batchInput(item, at));
    case "option": {
      const builder = scope.builderOrFail(at);
      // One for all adapters that are in use together, as its number is given once.
      return tensorValue(builder.unprefixed(() => builder.port(item.name, "buffer", "f32", [optionSize(scope, item)])));
    }
    case "tensor":
      return item.role === "const"
        ? { kind: "host", array: constant(scope, item) }
        : tensorValue(scope.buildOrFail(at).tensor(item));
    default:
      return undefined;
  }
}

/** A `const`; those declared before it come first, so that draws from a stream follow the order of the text. */
export function constant({ still }: Scope, item: TensorItem): HostArray {
  for (const earlier of still.items) {
    if (earlier.kind !== "tensor" || earlier.role !== "const") continue;
    const value = still.once(earlier.name, earlier.at, () => hostNumbers(still, earlier));
    if (earlier === item) return (value as Extract<Value, { kind: "host" }>).array;
  }
  throw new Error(`${item.name} is no const of this scope`);
}

/** Host numbers of a `const`, checked against its shape. */
function hostNumbers(scope: Scope, item: TensorItem): Value {
  const value = evaluate(scope, item.value);
  if (value.kind !== "host") {
    const message = `The const ${item.name} is no list of host numbers.`;
    throw scope.misfit(item.value.at, message, value, "torch_randperm(...) or a function of it");
  }
  const shape = shapeOf(scope, item);
  if (sizeOf(shape) === value.array.data.length) return namedConstant(item, value.array, shape);
  throw scope.error("METHOD-SHAPE", item.at, {
    message: `The const ${item.name} has another number of entries than its shape.`,
    expected: `${sizeOf(shape)} for [${shape.join(", ")}]`,
    got: String(value.array.data.length),
  });
}

function unary(scope: Scope, operator: "-" | "not", operand: Expression): Value {
  if (operator === "not") {
    const value = truth(scope, operand);
    return typeof value === "boolean"
      ? known(!value)
      : tensorValue(scope.builderOrFail(operand.at).add("not", [value]));
  }
  return negative(scope, evaluate(scope, operand), operand.at);
}

function binary(scope: Scope, expression: Extract<Expression, { kind: "binary" }>): Value {
  const { operator, left, right, at } = expression;
  if (operator === "and" || operator === "or") {
    const first = truth(scope, left);
    // What decides already leaves the other side alone.
    if (first === (operator === "or")) return known(first);
    const second = truth(scope, right);
    if (typeof second === "boolean" && typeof first === "boolean") return known(second);
    return both(scope, operator, first, second, at);
  }
  return combined(scope, operator, evaluate(scope, left), evaluate(scope, right), at);
}

function member(scope: Scope, expression: Extract<Expression, { kind: "member" }>): Value {
  const path = memberPath(expression);
  const word = path === undefined ? undefined : predefined[path];
  if (word !== undefined) return word.value(scope);
  const object = evaluate(scope, expression.object);
  if (expression.name === "T") {
    const result = transposed(object, () => scope.builderOrFail(expression.at));
    if (result !== undefined) return result;
  }
  throw scope.error("METHOD-NAME", expression.at, {
    message: `There is no .${expression.name} of ${describe(object, scope.build?.builder)}.`,
    expected: ".T of an operator or of a tensor with two axes or more",
  });
}

function call(scope: Scope, expression: CallExpression): Value {
  const name = memberPath(expression.callee) ?? "";
  const { arguments: given, at } = expression;
  switch (name) {
    case "present":
      return known(given.every((argument) => scope.model.present.has(memberPath(argument.value) ?? "")));
    case "site.matches":
    case "site.ends_with":
      return siteMatches(
        scope,
        name,
        given.map(({ value }) => evaluateKnown(scope, value)),
        at,
      );
    case "prod":
    case "iterate":
      return loop(scope, name, expression, { evaluate, evaluateKnown });
  }
  const builtin = scope.model.method.builtins.get(name);
  if (builtin === undefined)
    throw scope.error("METHOD-NAME", at, { message: `No function is called ${name || "that"}.` });
  const wantsNumbers = builtin.parameters.some(({ kind }) => kind === "host" || kind === "value");
  const values = given.map(({ name: parameter, value, to, at: place }) => {
    if (to !== undefined) throw scope.error("METHOD-ARGUMENT", place, { message: `${name} takes no range.` });
    const made = evaluate(scope, value);
    const evaluated = wantsNumbers ? made : constantsOf(scope, made, place);
    return { value: evaluated, at: place, name: parameter };
  });
  return callBuiltin(scope, builtin, expression, values);
}

/** A const is its table where a function of tensors gets it. */
const constantsOf = (scope: Scope, value: Value, at: Place): Value =>
  value.kind === "host" ? graphValue(scope, value, at) : value;
