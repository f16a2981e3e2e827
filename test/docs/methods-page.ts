/** The page `docs/methods.md`, made from the registry of methods. */
import type { FieldDeclaration, FieldValue } from "../../src/methods/fields.ts";
import { everyMethod, type Method } from "../../src/methods/index.ts";

const shown = (value: FieldValue): string => `\`${JSON.stringify(value)}\``;
const inCell = (text: string): string => text.replaceAll("|", "\\|");

function range({ minimum, exclusiveMinimum, maximum, oneOf }: FieldDeclaration): string {
  const parts = [
    minimum === undefined ? "" : `at least ${minimum}`,
    exclusiveMinimum === undefined ? "" : `above ${exclusiveMinimum}`,
    maximum === undefined ? "" : `at most ${maximum}`,
    oneOf === undefined ? "" : `one of ${oneOf.map(shown).join(", ")}`,
  ];
  return parts.filter((part) => part !== "").join(", ");
}

function fieldRow(method: Method, field: FieldDeclaration): string {
  const own =
    field.seedDefault === undefined ? "" : `; ${shown(field.seedDefault)} in a config without \`peft_version\``;
  const pattern = method.patterns.get(field.name);
  const meaning = [field.doc ?? "", pattern === undefined ? "" : `per module: \`${pattern}\``].filter((t) => t !== "");
  const cells = [`\`${field.name}\``, field.type, shown(field.default) + own, range(field), meaning.join("; ")];
  return `| ${cells.map(inCell).join(" | ")} |`;
}

function section(method: Method): string {
  return [
    `## ${method.peftType}`,
    "",
    `${method.siteKinds.length === 0 ? "Mixes adapters of the modules that they adapt" : `Adapts modules of kind ${method.siteKinds.join(", ")}`}. The whole method is \`src/methods/peft/${method.file}\`.`,
    "",
    "```",
    ...method.formulaLines,
    "```",
    "",
    "| field | type | default | range | meaning |",
    "|---|---|---|---|---|",
    ...method.fields.map((field) => fieldRow(method, field)),
    "",
  ].join("\n");
}

export function methodsPage(): string {
  return [
    "# Methods",
    "",
    "Made from the registry of methods; `npx vitest run test/docs -u` writes it again. The formulas are the ones that are compiled: `W'` is the",
    "adapted weight as a linear map from `in` to `out`, `@` composes, `param` trains and is saved under the name after `at`.",
    "",
    "Beside its own fields every method reads PEFT's common ones (`target_modules`, `exclude_modules`, `layers_to_transform`, `layers_pattern`,",
    "`modules_to_save`, `bias`, `fan_in_fan_out` where PEFT has them), and the file it writes holds every field as it was resolved.",
    "",
    ...everyMethod.map(section),
  ].join("\n");
}
