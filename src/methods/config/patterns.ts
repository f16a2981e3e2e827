/** Fields whose value differs by module: `rank_pattern` and its relatives. */
import type { DiagnosticSink } from "../../ir/diagnostics.ts";
import type { FieldDeclaration, FieldValue } from "../fields.ts";
import { pythonRepr } from "./python-text.ts";
import { compilePattern } from "./regex.ts";
import { checkField } from "./values.ts";

/** Which field a pattern changes (the first that the method has), and whether its names need a dot before them. */
const patternFields: Readonly<Record<string, { readonly changes: readonly string[]; readonly dotted: boolean }>> = {
  rank_pattern: { changes: ["r"], dotted: false },
  alpha_pattern: { changes: ["lora_alpha", "alpha"], dotted: false },
  lambda_pattern: { changes: ["delora_lambda"], dotted: false },
  n_frequency_pattern: { changes: ["n_frequency"], dotted: true },
  block_size_pattern: { changes: ["block_size"], dotted: true },
};

type Fields = Readonly<Record<string, FieldValue>>;

interface Pattern {
  readonly field: string;
  readonly changes: string;
  readonly entries: readonly { readonly name: string; readonly value: FieldValue; matches(path: string): boolean }[];
  readonly used: Set<string>;
}

/**
 * Compiles the patterns of a config; the result gives the fields of one module. Values are checked as those of the field
 * they replace. `finish` warns of entries that hit no target. Throws CONFIG-REGEX and CONFIG-FIELD-....
 */
export function compilePatterns(
  fields: Fields,
  declarations: readonly FieldDeclaration[],
): { fieldsOf(path: string): Fields; finish(sink: DiagnosticSink): void } {
  const patterns = Object.keys(patternFields).flatMap((name) => compileOne(name, fields, declarations));
  return {
    fieldsOf: (path) => ({ ...fields, ...Object.fromEntries(patterns.flatMap((pattern) => change(pattern, path))) }),
    finish: (sink) => {
      for (const pattern of patterns) warnUnused(pattern, sink);
    },
  };
}

function compileOne(field: string, fields: Fields, declarations: readonly FieldDeclaration[]): Pattern[] {
  const map = Object.hasOwn(fields, field) ? fields[field] : undefined;
  const { changes, dotted } = patternFields[field]!;
  const changed = changes.map((name) => declarations.find((d) => d.name === name)).find((d) => d !== undefined);
  const isMap = ["int_map", "float_map"].includes(declarations.find((d) => d.name === field)?.type ?? "");
  if (changed === undefined || !isMap || typeof map !== "object" || map === null || Array.isArray(map)) return [];
  const entries = Object.entries(map).map(([name, value]) => {
    checkField(changed, value, `${field}["${name}"]`);
    const regex = compilePattern(dotted ? `.*\\.${name}$` : `(.*\\.)?(${name})$`, field);
    return { name, value, matches: (path: string) => regex.match(path) !== undefined };
  });
  return [{ field, changes: changed.name, entries, used: new Set() }];
}

/** The first entry that matches wins; a dotted pattern may also hold the literal path. */
function change(pattern: Pattern, path: string): [string, FieldValue][] {
  const { dotted } = patternFields[pattern.field]!;
  const entry =
    pattern.entries.find((candidate) => candidate.matches(path)) ??
    (dotted ? pattern.entries.find((candidate) => candidate.name === path) : undefined);
  if (entry === undefined) return [];
  pattern.used.add(entry.name);
  return [[pattern.changes, entry.value]];
}

function warnUnused({ field, entries, used }: Pattern, sink: DiagnosticSink): void {
  const unused = entries.map((entry) => entry.name).filter((name) => !used.has(name));
  if (unused.length === 0) return;
  sink.warn("CONFIG-PATTERN-UNUSED", {
    message: `The following ${field} keys did not match any targeted module and were ignored: ${pythonRepr(unused)}.`,
    where: field,
  });
}
