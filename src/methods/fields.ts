/** How a method declares the fields of its `adapter_config.json`: plain data, made from a method's fragment, and the types of their values. */

const isNumber = (value: unknown): boolean => typeof value === "number" && Number.isFinite(value);
const isBoolean = (value: unknown): boolean => typeof value === "boolean";
export const isText = (value: unknown): value is string => typeof value === "string";
export const isListOf = (value: unknown, item: (x: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(item);
const isMapOf = (value: unknown, item: (x: unknown) => boolean): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every(item);

const maximumDepth = 50;

/** Whether a value is plain JSON with finite numbers, not nested without end. */
export function isJson(value: unknown, depth = 0): boolean {
  if (value === null || isText(value) || isBoolean(value) || isNumber(value)) return true;
  if (typeof value !== "object" || depth > maximumDepth) return false;
  return Object.values(value).every((item) => isJson(item, depth + 1));
}

interface TypeRecord {
  /** What messages expect. */
  readonly expected: string;
  readonly test: (value: unknown) => boolean;
}

/** Types of fields, by their word. */
export const fieldTypes = {
  int: { expected: "a whole number", test: Number.isSafeInteger },
  float: { expected: "a number", test: isNumber },
  bool: { expected: "true or false", test: isBoolean },
  string: { expected: "a text", test: isText },
  int_list: { expected: "a list of whole numbers", test: (value) => isListOf(value, Number.isSafeInteger) },
  string_list: { expected: "a list of texts", test: (value) => isListOf(value, isText) },
  int_map: { expected: "an object with whole numbers", test: (value) => isMapOf(value, Number.isSafeInteger) },
  float_map: { expected: "an object with numbers", test: (value) => isMapOf(value, isNumber) },
  bool_list_map: {
    expected: "an object with lists of true and false",
    test: (value) => isMapOf(value, (list) => isListOf(list, isBoolean)),
  },
  any: { expected: "a JSON value", test: isJson },
} satisfies Record<string, TypeRecord>;

export type FieldType = keyof typeof fieldTypes;

/** A value as JSON has it. */
export type FieldValue =
  | null
  | boolean
  | number
  | string
  | readonly FieldValue[]
  | { readonly [key: string]: FieldValue };

export interface FieldDeclaration {
  readonly name: string;
  readonly type: FieldType;
  /** Whether `null` is a value of the field. */
  readonly nullable: boolean;
  /** The default of PEFT 0.21.2; it is what an absent field means in a config that carries `peft_version`. */
  readonly default: FieldValue;
  /** The default in a config without `peft_version`, where it is another. */
  readonly seedDefault?: FieldValue;
  /** Ranges hold for a number, and for every element of a list or map of numbers. */
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  /** The only values allowed (beside null when nullable). */
  readonly oneOf?: readonly FieldValue[];
  /** PEFT's config class does not have it: it is written only where a config holds it. */
  readonly extension?: boolean;
  /** One sentence for the documentation. */
  readonly doc?: string;
}
