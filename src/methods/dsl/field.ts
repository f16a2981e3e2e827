/** Config fields of a fragment as declarations for the reader of adapter configs. */
import type { FieldDeclaration, FieldType, FieldValue } from "../fields.ts";
import { evaluation } from "../situation.ts";
import type { Expression, FieldItem, MethodAst } from "./ast.ts";
import { evaluateKnown } from "./evaluate.ts";
import { modelScope, Scope } from "./scope.ts";

/**
 * Options of a field, with what the declaration has of them. `seed` is the default in a config that PEFT did not write, `filled` what null
 * stands for (and is written as), `above` an exclusive minimum, `pattern` the field that overrides this one per module, `padded` says that
 * tensors may be larger in a program than the field says, filled with zeros, `extension` that PEFT does not have the field.
 */
export const fieldOptions: Readonly<Record<string, keyof FieldDeclaration | undefined>> = {
  seed: "seedDefault",
  filled: undefined,
  minimum: "minimum",
  above: "exclusiveMinimum",
  maximum: "maximum",
  one_of: "oneOf",
  pattern: undefined,
  padded: undefined,
  extension: "extension",
};

export const fieldItems = (method: MethodAst): FieldItem[] => method.items.filter((item) => item.kind === "field");

const optionOf = (item: FieldItem, name: string): Expression | undefined =>
  item.options.find((option) => option.name === name)?.value;

/** A scope in which only config fields mean something. */
const fieldScope = (
  method: MethodAst,
  fields: Readonly<Record<string, FieldValue>> = {},
  present: ReadonlySet<string> = new Set(),
): Scope => new Scope(modelScope(method, { fields, present, sites: [], situation: evaluation }));

export function fieldDeclaration(method: MethodAst, item: FieldItem): FieldDeclaration {
  const valueOfField = (expression: Expression) => evaluateKnown(fieldScope(method), expression) as FieldValue;
  const options = Object.entries(fieldOptions).flatMap(([option, name]) => {
    const value = optionOf(item, option);
    return name === undefined || value === undefined ? [] : [[name, valueOfField(value)] as const];
  });
  const { name, nullable, doc } = item;
  const type = item.type as FieldType;
  return { name, type, nullable, default: valueOfField(item.default), ...Object.fromEntries(options), doc };
}

/** Field -> the field that overrides it per module, e.g. r -> rank_pattern. */
export const patternFields = (method: MethodAst): ReadonlyMap<string, string> =>
  new Map(
    fieldItems(method).flatMap((item) => {
      const pattern = optionOf(item, "pattern");
      return pattern?.kind === "name" ? [[item.name, pattern.name] as const] : [];
    }),
  );

/** Fields that a program may round up, because zeros behind the tensors' numbers change nothing (LoRA's r). */
export const paddedFields = (method: MethodAst): readonly string[] =>
  fieldItems(method).flatMap((item) => (optionOf(item, "padded") === undefined ? [] : [item.name]));

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
    const [seed, filled] = [optionOf(item, "seed"), optionOf(item, "filled")];
    if (byHand && seed !== undefined && !present.has(item.name))
      settled[item.name] = evaluateKnown(before, seed) as FieldValue;
    if (filled !== undefined && (settled[item.name] ?? fields[item.name] ?? null) === null)
      settled[item.name] = evaluateKnown(fieldScope(method, { ...fields, ...settled }, present), filled) as FieldValue;
  }
  return settled;
}
