/** `A[:, :n]`, `Q[i]` and `.T`. */
import type { Builder } from "../../ir/builder.ts";
import type { Expression, IndexItem, Place } from "./ast.ts";
import type { Scope } from "./scope.ts";
import { describe, isWhole, type Known, known, operatorValue, tensorValue, type Value } from "./value.ts";

/** The transposed operator, or a tensor with its last two axes exchanged. */
export function transposed(value: Value, builder: () => Builder): Value | undefined {
  if (value.kind === "operator") return operatorValue(builder().add("op.transpose", [value.id]));
  if (value.kind !== "tensor") return undefined;
  const rank = builder().shape(value.id).length;
  if (rank < 2) return undefined;
  const axes = Array.from({ length: rank }, (_unused, i) => i);
  return tensorValue(builder().transpose(value.id, [...axes.slice(0, -2), rank - 1, rank - 2]));
}

/** One entry per axis: `Q[i]` drops its axis, `A[from : to]` keeps a part; axes that are not named stay whole. */
export function indexed(
  scope: Scope,
  object: Value,
  items: readonly IndexItem[],
  at: Place,
  knownOf: (expression: Expression) => Known,
): Value {
  if (object.kind === "known") return element(scope, object.value, items, at, knownOf);
  const builder = scope.builderOrFail(at);
  if (object.kind !== "tensor") throw scope.misfit(at, "Only tensors and lists have entries.", object);
  const shape = builder.shape(object.id);
  if (items.length > shape.length) {
    const got = describe(object, builder);
    throw scope.error("METHOD-SHAPE", at, { message: "The tensor has fewer axes than that.", got });
  }
  const parts = shape.map((extent, axis) => range(scope, items[axis], extent, knownOf));
  const [starts, limits] = [parts.map(({ start }) => start), parts.map(({ limit }) => limit)];
  const kept = parts.filter(({ dropped }) => !dropped).map(({ start, limit }) => limit - start);
  return tensorValue(builder.reshape(builder.slice(object.id, starts, limits), kept));
}

function range(
  scope: Scope,
  item: IndexItem | undefined,
  extent: number,
  knownOf: (expression: Expression) => Known,
): { start: number; limit: number; dropped: boolean } {
  if (item === undefined) return { start: 0, limit: extent, dropped: false };
  const fault = (at: Place, message: string, expected: string, got: string): Error =>
    scope.error("METHOD-SHAPE", at, { message, expected, got });
  const bound = (expression: Expression | undefined, preset: number): number => {
    if (expression === undefined) return preset;
    const value = knownOf(expression);
    if (isWhole(value) && value <= extent) return value;
    throw fault(expression.at, "The index lies outside the axis.", `0 to ${extent}`, describe(known(value)));
  };
  const start = bound(item.kind === "element" ? item.value : item.start, 0);
  const limit = item.kind === "element" ? start + 1 : bound(item.limit, extent);
  if (start < limit && limit <= extent) return { start, limit, dropped: item.kind === "element" };
  throw fault(item.at, "Nothing lies in this part of the axis.", `a part of 0 to ${extent}`, `${start} to ${limit}`);
}

/** Entry of a known list or map. */
function element(
  scope: Scope,
  object: Known,
  items: readonly IndexItem[],
  at: Place,
  knownOf: (expression: Expression) => Known,
): Value {
  const [item] = items;
  const key = items.length === 1 && item?.kind === "element" ? knownOf(item.value) : undefined;
  const holds = typeof object === "object" && object !== null && (typeof key === "number" || typeof key === "string");
  if (holds && Object.hasOwn(object, key)) return known((object as Readonly<Record<string | number, Known>>)[key]!);
  throw scope.misfit(at, "There is no such entry.", known(object));
}
