/**
 * Numbers of the host that a `const` gives a name. One with a key has its numbers in the adapter's file, which may hold others than the formula
 * gives: as a tensor it is a port, which the file fills; but what host builtins make of it is part of the program, so the file must agree.
 */
import type { Place, TensorItem } from "./ast.ts";
import type { Scope } from "./scope.ts";
import { type HostArray, tensorValue, type Value } from "./value.ts";

/** The numbers of a const, with what is known of where they come from. */
export function namedConstant(item: TensorItem, array: HostArray): Value {
  const held = item.key === undefined ? (array.held ?? []) : [item.key];
  return { kind: "host", array: { ...array, item, held } };
}

/** A const where a tensor is wanted: the port of its table. */
export function constantPort(
  scope: Scope,
  { key, name }: TensorItem,
  array: HostArray,
  shape: readonly number[],
  at: Place,
): Value {
  const data = array.whole ? Int32Array.from(array.data) : Float32Array.from(array.data);
  const own = key === undefined ? undefined : scope.siteKey(key);
  if (own === undefined) pin(scope, array.held);
  const port = own ?? scope.model.notes.table(`${scope.model.method.name}.${name}`, data, shape);
  return tensorValue(scope.builderOrFail(at).port(port, "buffer", array.whole ? "i32" : "f32", shape));
}

/** What a builtin made of numbers of the host: they know their origin, and anything else has them as part of the program. */
export function madeOf(scope: Scope, made: Value, given: readonly Value[]): Value {
  const held = [...new Set(given.flatMap((value) => (value.kind === "host" ? (value.array.held ?? []) : [])))];
  if (held.length === 0) return made;
  if (made.kind === "host") return { kind: "host", array: { ...made.array, held } };
  pin(scope, held);
  return made;
}

function pin(scope: Scope, held: readonly string[] = []): void {
  for (const key of held) scope.model.notes.pin(scope.siteOrFail(), key);
}
