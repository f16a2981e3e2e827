/** Padded programs: tensors are larger than the adapter's file says, with zeros behind its numbers, so that adapters of several sizes fit. */
import { sameShape } from "../../ir/types.ts";
import type { FieldValue } from "../fields.ts";
import { shapeOf } from "./evaluate.ts";
import { paddedFields } from "./field.ts";
import { Scope, siteKey } from "./scope.ts";
import { ownTensors } from "./site-tensors.ts";

/** The scope in which shapes are those of the program's ports. */
export function paddedScope(scope: Scope): Scope {
  const { model, block, site } = scope;
  const { padding } = model.situation;
  if (padding === undefined || site === undefined) return scope;
  const rounded = paddedFields(model.method).map((name): [string, FieldValue] => {
    const value = scope.field(name);
    return [name, typeof value === "number" ? Math.max(value, padding) : (value ?? null)];
  });
  return new Scope(model, block, { ...site, fields: { ...site.fields, ...Object.fromEntries(rounded) } });
}

/** The tensors of a site that the program holds larger than the file does: key and the program's shape. */
export function paddedShapes(scope: Scope): [string, readonly number[]][] {
  if (scope.model.situation.padding === undefined) return [];
  const padded = paddedScope(scope);
  return ownTensors(scope).flatMap((item): [string, readonly number[]][] => {
    const shape = shapeOf(padded, item);
    return sameShape(shape, shapeOf(scope, item)) ? [] : [[siteKey(scope.siteOrFail(), item.key!), shape]];
  });
}
