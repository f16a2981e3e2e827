/**
 * Fields whose value differs by module: `rank_pattern` and its relatives. Which field overrides which is said by the method's fragment, for a
 * built-in one as for one of the user's own.
 */
import type { DiagnosticSink } from "../../ir/diagnostics.ts";
import type { FieldDeclaration, FieldValue } from "../fields.ts";
import { compilePattern } from "../regex/index.ts";
import { pythonRepr } from "./python-text.ts";
import { checkField } from "./values.ts";

type Fields = Readonly<Record<string, FieldValue>>;

interface Pattern {
  readonly field: string;
  readonly dotted: boolean;
  readonly changes: string;
  readonly entries: readonly { readonly name: string; readonly value: FieldValue; matches(path: string): boolean }[];
  readonly used: Set<string>;
}

/**
 * Compiles the patterns of a config; the result gives the fields of one module. `overrides` names for a field the one that overrides it per
 * module; `dotted`: a name needs a dot before it, or is the whole path. Values are checked as those of the field they replace. `finish` warns
 * of entries that hit no target. Throws CONFIG-REGEX and CONFIG-FIELD-....
 */
export function compilePatterns(
  fields: Fields,
  declarations: readonly FieldDeclaration[],
  overrides: ReadonlyMap<string, string>,
  dotted = false,
): { fieldsOf(path: string): Fields; finish(sink: DiagnosticSink): void } {
  const patterns = declarations.flatMap((changed) => compileOne(changed, overrides.get(changed.name), fields, dotted));
  return {
    fieldsOf: (path) => ({ ...fields, ...Object.fromEntries(patterns.flatMap((pattern) => change(pattern, path))) }),
    finish: (sink) => {
      for (const pattern of patterns) warnUnused(pattern, sink);
    },
  };
}

function compileOne(changed: FieldDeclaration, field: string | undefined, fields: Fields, dotted: boolean): Pattern[] {
  const map = field !== undefined && Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (field === undefined || typeof map !== "object" || map === null || Array.isArray(map)) return [];
  const entries = Object.entries(map).map(([name, value]) => {
    checkField(changed, value, `${field}["${name}"]`);
    const regex = compilePattern(dotted ? `.*\\.${name}$` : `(.*\\.)?(${name})$`, field);
    return { name, value, matches: (path: string) => regex.match(path) !== undefined };
  });
  return [{ field, dotted, changes: changed.name, entries, used: new Set() }];
}

/** The first entry that matches wins; a dotted pattern may also hold the literal path. */
function change(pattern: Pattern, path: string): [string, FieldValue][] {
  const entry =
    pattern.entries.find((candidate) => candidate.matches(path)) ??
    (pattern.dotted ? pattern.entries.find((candidate) => candidate.name === path) : undefined);
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
