/** How a method declares the fields of its `adapter_config.json`. Plain data, made from a method's fragment. */

export type FieldType =
  | "int"
  | "float"
  | "bool"
  | "string"
  | "int_list"
  | "string_list"
  | "int_map"
  | "float_map"
  | "bool_list_map"
  | "any";

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
