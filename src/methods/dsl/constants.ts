/**
 * Numbers of the host that a `const` gives a name. One with a key has its numbers in the adapter's file, which may hold others than the formula
 * gives: as a tensor it is a port, which the file fills; but what host builtins make of it is part of the program, so the file must agree.
 */
import type { Place, TensorItem } from "./ast.ts";
import type { Scope } from "./scope.ts";
import { type HostArray, isNumbers, tensorValue, type Value } from "./value.ts";

/** The numbers of a const, with what is known of where they come from. */
export function namedConstant({ name, key }: TensorItem, array: HostArray, shape: readonly number[]): Value {
  const held = key === undefined ? (array.held ?? []) : [key];
  return { kind: "host", array: { ...array, held, named: { name, shape, key } } };
}

/** The value as something of the graph: a const is the port of its table, a list of numbers a table; of `real` ones beside real numbers. */
export function graphValue(scope: Scope, value: Value, at: Place, real = false): Value {
  if (value.kind === "known" && isNumbers(value.value) && value.value.length > 0) {
    const whole = !real && value.value.every(Number.isSafeInteger);
    return table(scope, "list", value.value, whole, [value.value.length], at);
  }
  if (value.kind !== "host") return value;
  const { data, whole, held = [], named } = value.array;
  const { name = "numbers", key, shape = [data.length] } = named ?? {};
  if (key !== undefined)
    return tensorValue(scope.builderOrFail(at).port(scope.siteKey(key), "buffer", whole ? "i32" : "f32", shape));
  for (const one of held) scope.model.notes.pin(scope.siteOrFail(), one);
  return table(scope, name, data, whole, shape, at);
}

function table(
  scope: Scope,
  name: string,
  numbers: ArrayLike<number>,
  whole: boolean,
  shape: readonly number[],
  at: Place,
): Value {
  const data = whole ? Int32Array.from(numbers) : Float32Array.from(numbers);
  const port = scope.model.notes.table(`${scope.model.method.name}.${name}`, data, shape);
  return tensorValue(scope.builderOrFail(at).port(port, "buffer", whole ? "i32" : "f32", shape));
}

/** What a builtin made of numbers of the host: they know their origin, and anything else has them as part of the program. */
export function madeOf(scope: Scope, made: Value, given: readonly Value[]): Value {
  const held = [...new Set(given.flatMap((value) => (value.kind === "host" ? (value.array.held ?? []) : [])))];
  if (held.length === 0) return made;
  if (made.kind === "host") return { kind: "host", array: { ...made.array, held } };
  for (const key of held) scope.model.notes.pin(scope.siteOrFail(), key);
  return made;
}
