/** Checks of single field values: type, range, allowed values. */
import type { Code } from "../../ir/codes/index.ts";
import { WebpeftError } from "../../ir/diagnostics.ts";
import { type FieldDeclaration, type FieldValue, fieldTypes, isListOf, isText } from "../fields.ts";
import { shown } from "./python-text.ts";

/** The range of a field as a text, or undefined when it has none. */
function rangeText(field: FieldDeclaration): string | undefined {
  const parts = [
    field.minimum === undefined ? "" : `>= ${field.minimum}`,
    field.exclusiveMinimum === undefined ? "" : `> ${field.exclusiveMinimum}`,
    field.maximum === undefined ? "" : `<= ${field.maximum}`,
  ].filter((part) => part !== "");
  return parts.length === 0 ? undefined : parts.join(" and ");
}

const inRange = (field: FieldDeclaration, value: number): boolean =>
  value >= (field.minimum ?? Number.NEGATIVE_INFINITY) &&
  value > (field.exclusiveMinimum ?? Number.NEGATIVE_INFINITY) &&
  value <= (field.maximum ?? Number.POSITIVE_INFINITY);

function numbersIn(value: unknown): number[] {
  if (typeof value === "number") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(numbersIn) : [];
}

/** What a field takes, as the `expected` line of an error. */
function expectedText(field: FieldDeclaration): string {
  const values = field.oneOf?.map((value) => JSON.stringify(value)).join(", ");
  const range = rangeText(field);
  const kind =
    values === undefined
      ? fieldTypes[field.type].expected + (range === undefined ? "" : ` ${range}`)
      : `one of ${values}`;
  return field.nullable ? `${kind}, or null` : kind;
}

/**
 * Returns `value` as the field's value. Throws CONFIG-FIELD-TYPE, CONFIG-FIELD-VALUE (not among the allowed ones) or
 * CONFIG-FIELD-RANGE; `where` defaults to the field's name.
 */
export function checkField(field: FieldDeclaration, value: unknown, where: string = field.name): FieldValue {
  const refuse = (code: Code, problem: string): never => {
    throw new WebpeftError(code, {
      message: `Config field ${where} ${problem}.`,
      where,
      expected: expectedText(field),
      got: shown(value),
    });
  };
  if (value === null && field.nullable) return null;
  if (!fieldTypes[field.type].test(value)) refuse("CONFIG-FIELD-TYPE", "has a value of the wrong type");
  if (field.oneOf !== undefined && !field.oneOf.some((allowed) => sameJson(allowed, value))) {
    refuse("CONFIG-FIELD-VALUE", "has a value that is not allowed");
  }
  if (!numbersIn(value).every((number) => inRange(field, number))) refuse("CONFIG-FIELD-RANGE", "is out of range");
  return value as FieldValue;
}

/** Whether two JSON values are equal; the order of keys does not count. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [first, second] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const keys = Object.keys(first);
  return (
    keys.length === Object.keys(second).length &&
    keys.every((key) => Object.hasOwn(second, key) && sameJson(first[key], second[key]))
  );
}

const isIndex = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

/** The shapes of the shared fields that take more than one type. */
const unions: Readonly<Record<string, { readonly expected: string; readonly test: (value: unknown) => boolean }>> = {
  target_modules: { expected: "a list of module names, or one regular expression", test: isNames },
  exclude_modules: { expected: "a list of module names, or one regular expression", test: isNames },
  layers_pattern: { expected: "one name or a list of names", test: isNames },
  feedforward_modules: { expected: "a list of module names, or one regular expression", test: isNames },
  layers_to_transform: {
    expected: "a layer index or a list of them",
    test: (value) => isIndex(value) || isListOf(value, isIndex),
  },
};

function isNames(value: unknown): boolean {
  return isText(value) || isListOf(value, isText);
}

/** Throws CONFIG-FIELD-TYPE when a field that takes a name, a list or an index has another value. */
export function checkUnionField(name: string, value: FieldValue): void {
  const union = Object.hasOwn(unions, name) ? unions[name] : undefined;
  if (union === undefined || value === null || union.test(value)) return;
  throw new WebpeftError("CONFIG-FIELD-TYPE", {
    message: `Config field ${name} has a value of the wrong type.`,
    where: name,
    expected: `${union.expected}, or null`,
    got: shown(value),
  });
}
