/** Config fields of a fragment as declarations for the reader of adapter configs. */

import type { FieldDeclaration, FieldType, FieldValue } from "../fields.ts";
import { evaluation } from "../situation.ts";
import type { FieldItem, MethodAst } from "./ast.ts";
import { unknownBase } from "./elaboration-types.ts";
import { evaluateKnown } from "./evaluate.ts";
import { Notes } from "./notes.ts";
import { Room } from "./room.ts";
import { type ModelScope, Scope } from "./scope.ts";

export const fieldTypes: readonly FieldType[] = [
  "int",
  "float",
  "bool",
  "string",
  "int_list",
  "string_list",
  "int_map",
  "float_map",
  "bool_list_map",
  "any",
];

/**
 * Options of a field: `seed` is the default in a config that PEFT did not write, `filled` what null stands for (and is written as), `above` an
 * exclusive minimum, `pattern` the field that overrides this one per module, `padded` says that tensors may be larger in a program than the
 * field says, filled with zeros, `extension` that PEFT does not have the field.
 */
export const fieldOptions = [
  "seed",
  "filled",
  "minimum",
  "above",
  "maximum",
  "one_of",
  "pattern",
  "padded",
  "extension",
];

export const fieldItems = (method: MethodAst): FieldItem[] => method.items.filter((item) => item.kind === "field");

/** A scope in which only config fields mean something. */
function fieldScope(
  method: MethodAst,
  fields: Readonly<Record<string, FieldValue>>,
  present: ReadonlySet<string>,
): Scope {
  const model: ModelScope = {
    room: new Room(0),
    method,
    fields,
    present,
    sites: [],
    situation: evaluation,
    base: unknownBase,
    notes: new Notes(),
    still: () => undefined,
  };
  return new Scope(model);
}

export function fieldDeclaration(method: MethodAst, item: FieldItem): FieldDeclaration {
  const scope = fieldScope(method, {}, new Set());
  const option = (name: string): FieldValue | undefined => {
    const found = item.options.find((o) => o.name === name);
    return found === undefined ? undefined : (evaluateKnown(scope, found.value) as FieldValue);
  };
  const optional = {
    seedDefault: option("seed"),
    minimum: option("minimum"),
    exclusiveMinimum: option("above"),
    maximum: option("maximum"),
    oneOf: option("one_of"),
    extension: option("extension"),
    doc: item.doc,
  };
  const given = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined));
  return {
    name: item.name,
    type: item.type as FieldType,
    nullable: item.nullable,
    default: evaluateKnown(scope, item.default) as FieldValue,
    ...given,
  };
}

/** Field -> the field that overrides it per module, e.g. r -> rank_pattern. */
export function patternFields(method: MethodAst): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const item of fieldItems(method)) {
    const pattern = item.options.find((o) => o.name === "pattern")?.value;
    if (pattern?.kind === "name") found.set(item.name, pattern.name);
  }
  return found;
}

/** Fields that a program may round up, because zeros behind the tensors' numbers change nothing (LoRA's r). */
export function paddedFields(method: MethodAst): readonly string[] {
  return fieldItems(method).flatMap(({ name, options }) => (options.some((o) => o.name === "padded") ? [name] : []));
}

/**
 * The fields to change: seed defaults that depend on which other fields are present (OFT's r and oft_block_size; a config with
 * `peft_version` has none), and what null is filled with, which may depend on fields that come before (CPT's masks).
 */
export function settledFields(
  method: MethodAst,
  fields: Readonly<Record<string, FieldValue>>,
  present: ReadonlySet<string>,
): Record<string, FieldValue> {
  const settled: Record<string, FieldValue> = {};
  const byHand = (fields.peft_version ?? null) === null;
  const before = fieldScope(method, fields, present);
  for (const item of fieldItems(method)) {
    const option = (name: string) => item.options.find((o) => o.name === name)?.value;
    const [seed, filled] = [option("seed"), option("filled")];
    if (byHand && seed !== undefined && !present.has(item.name))
      settled[item.name] = evaluateKnown(before, seed) as FieldValue;
    if (filled !== undefined && (settled[item.name] ?? fields[item.name] ?? null) === null)
      settled[item.name] = evaluateKnown(fieldScope(method, { ...fields, ...settled }, present), filled) as FieldValue;
  }
  return settled;
}
