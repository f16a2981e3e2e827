/** The sources `src/methods/typed/*.ts`: typed configs, made from the methods' declarations. */
import { commonFields, sharedFields } from "../../src/methods/config/common.ts";
import type { FieldDeclaration } from "../../src/methods/fields.ts";
import { type Method, methods } from "../../src/methods/index.ts";

const types: Readonly<Record<FieldDeclaration["type"], string>> = {
  int: "number",
  float: "number",
  bool: "boolean",
  string: "string",
  int_list: "readonly number[]",
  string_list: "readonly string[]",
  int_map: "Readonly<Record<string, number>>",
  float_map: "Readonly<Record<string, number>>",
  bool_list_map: "Readonly<Record<string, readonly boolean[]>>",
  any: "FieldValue",
};

function typeOf({ type, nullable, oneOf }: FieldDeclaration): string {
  if (type === "any") return types.any;
  const base = oneOf === undefined ? types[type] : oneOf.map((value) => JSON.stringify(value)).join(" | ");
  return nullable ? `${base} | null` : base;
}

function fieldLines(field: FieldDeclaration): string[] {
  const doc = field.doc === undefined ? [] : [`  /** ${field.doc} */`];
  return [...doc, `  readonly ${field.name}?: ${typeOf(field)};`];
}

const made = "Made from the methods' declarations; `npx vitest run test/docs -u` writes it again.";
const fieldImport = (text: readonly string[]): string[] =>
  text.some((line) => line.includes("FieldValue")) ? ['import type { FieldValue } from "../fields.ts";'] : [];

const camel = (name: string): string => name.replace(/_(\w)/g, (_all, letter: string) => letter.toUpperCase());
const pascal = (name: string): string => camel(`_${name}`);
export const typedFile = ({ file }: Method): string => file;

/** The fields that every config has. */
export function typedCommon(): string {
  const fields = commonFields.flatMap(fieldLines);
  return [
    `/** Fields of every adapter config. ${made} */`,
    ...fieldImport(fields),
    "",
    "export interface CommonConfig {",
    ...fields,
    "}",
    "",
  ].join("\n");
}

/** On one line where that fits. */
const helper = (head: string, body: string): string[] =>
  head.length + body.length < 120 ? [`${head} ${body}`] : [head, `  ${body}`];

/** The config of one method, and the function that makes one. */
export function typedConfig(method: Method): string {
  const own = new Set(method.fields.map(({ name }) => name));
  const shared = method.profile.shared.flatMap((name) => (own.has(name) ? [] : [sharedFields[name]]));
  const fields = [...method.fields, ...shared].flatMap(fieldLines);
  const [name, type] = [camel(method.name), `${pascal(method.name)}Config`];
  return [
    `/** Configs of ${method.peftType}, typed. ${made} */`,
    ...fieldImport(fields),
    'import type { CommonConfig } from "./common.ts";',
    "",
    `export interface ${type} extends CommonConfig {`,
    ...fields,
    "}",
    "",
    `/** A config as \`compile\` takes it, with its \`peft_type\`. */`,
    ...helper(
      `export const ${name} = (config: ${type} = {}) =>`,
      `({ peft_type: "${method.peftType}", ...config }) as const;`,
    ),
    "",
  ].join("\n");
}

/** All of them. */
export function typedIndex(): string {
  const lines = [...methods.values()].map((method) => {
    const [name, type] = [camel(method.name), `${pascal(method.name)}Config`];
    return `export { type ${type}, ${name} } from "./${typedFile(method)}";`;
  });
  return [
    "/**",
    ` * Typed configs, one function per method: \`oft({ oft_block_size: 32 })\`.`,
    ` * ${made}`,
    " */",
    ...lines.sort((a, b) => (a.split(" from ")[1]! < b.split(" from ")[1]! ? -1 : 1)),
    "",
  ].join("\n");
}
