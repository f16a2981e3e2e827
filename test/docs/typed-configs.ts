/** The sources `src/methods/typed/*.ts`: typed configs, made from the methods' declarations. */
import { commonFields, type SharedField, sharedFields } from "../../src/methods/config/common.ts";
import { everything } from "../../src/methods/config/profiles.ts";
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

export const camel = (name: string): string => name.replace(/_(\w)/g, (_all, letter: string) => letter.toUpperCase());
const pascal = (name: string): string => camel(`_${name}`);
export const typedFile = ({ file }: Method): string => file;

/** The fields that every config has, and those that most share. */
export function typedCommon(): string {
  const [common, shared] = [commonFields, everything.map((name) => sharedFields[name])].map((all) =>
    all.flatMap(fieldLines),
  );
  return [
    `/** Fields of many adapter configs. ${made} */`,
    ...fieldImport([...common!, ...shared!]),
    "",
    "/** Fields of every config. */",
    "export interface CommonConfig {",
    ...common!,
    "}",
    "",
    "/** Fields that most configs have. */",
    "export interface SharedConfig {",
    ...shared!,
    "}",
    "",
  ].join("\n");
}

/** What a config extends to have these of the shared fields. */
function bases(names: readonly SharedField[]): string[] {
  const union = (fields: readonly SharedField[]): string => fields.map((name) => JSON.stringify(name)).join(" | ");
  const [taken, left] = [true, false].map((has) => everything.filter((name) => names.includes(name) === has));
  if (taken!.length === 0) return ["CommonConfig"];
  if (left!.length === 0) return ["CommonConfig", "SharedConfig"];
  const shared =
    left!.length < taken!.length ? `Omit<SharedConfig, ${union(left!)}>` : `Pick<SharedConfig, ${union(taken!)}>`;
  return ["CommonConfig", shared];
}

/** Its head on one line where that fits. */
function interfaceText(name: string, extended: readonly string[], fields: readonly string[]): string[] {
  const [first, last] = fields.length === 0 ? ["{}", []] : ["{", ["}"]];
  const line = `export interface ${name} extends ${extended.join(", ")} ${first}`;
  const head =
    line.length <= 120 ? [line] : [`export interface ${name}`, `  extends ${extended.join(",\n    ")} ${first}`];
  return [...head, ...fields, ...last];
}

/** On one line where that fits. */
const helper = (head: string, body: string): string[] =>
  head.length + body.length < 120 ? [`${head} ${body}`] : [head, `  ${body}`];

/** The config of one method, and the function that makes one. */
export function typedConfig(method: Method): string {
  const own = new Set(method.fields.map(({ name }) => name));
  const shared = method.profile.shared.filter((name) => !own.has(name));
  const rare = shared.filter((name) => !everything.includes(name));
  const fields = [...method.fields, ...rare.map((name) => sharedFields[name])].flatMap(fieldLines);
  const extended = bases(shared);
  const [name, type] = [camel(method.name), `${pascal(method.name)}Config`];
  return [
    `/** Configs of ${method.peftType}, typed. ${made} */`,
    ...fieldImport(fields),
    `import type { ${extended.length > 1 ? "CommonConfig, SharedConfig" : "CommonConfig"} } from "./common.ts";`,
    "",
    ...interfaceText(type, extended, fields),
    "",
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
    ` * Typed configs, one function per method: \`oft({ oft_block_size: 32 })\` is a config as \`compile\` takes it, with its \`peft_type\`.`,
    ` * ${made}`,
    " */",
    ...lines.sort((a, b) => (a.split(" from ")[1]! < b.split(" from ")[1]! ? -1 : 1)),
    "",
  ].join("\n");
}
