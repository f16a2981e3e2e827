/**
 * Diagnostics are data: a code, a severity, and fields; the words are made from the fields. Everything that can go wrong
 * because of what a user gave is a `WebpeftError`; anything else that is thrown is a defect of webpeft.
 */

import type { Code } from "./codes/index.ts";

type Severity = "error" | "warning" | "note";

/** What a diagnostic says. `where` is a file, key, field or `file:line:column`; `expected` and `got` are short texts. */
export interface DiagnosticFields {
  /** One sentence: what happened. */
  message: string;
  where?: string;
  expected?: string;
  got?: string;
  /** What to do about it. */
  help?: string;
}

/** Characters that a terminal acts on, or that change the order in which others are shown; not line breaks and tabs. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const acting = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** A text with the characters that a terminal acts on as `\u001b`: names in files come from strangers. Line breaks and tabs stay. */
export const printable = (text: string): string =>
  text.replace(acting, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** As `printable`, on one line. */
const printableLine = (text: string): string => printable(text).replaceAll("\n", "\\n").replaceAll("\t", "\\t");

/** The fields that are there, as a terminal can show them. A place is one line; what is told may have several. */
function shown(fields: DiagnosticFields): DiagnosticFields {
  const given = Object.entries<string | undefined>({ ...fields }).filter(([, text]) => text !== undefined);
  return Object.fromEntries(
    given.map(([name, text = ""]) => [name, name === "where" ? printableLine(text) : printable(text)]),
  ) as unknown as DiagnosticFields;
}

export interface Diagnostic extends DiagnosticFields {
  code: Code;
  severity: Severity;
}

/** The one error class of the project; `diagnostics` holds more than one when several things were wrong at once. */
export class WebpeftError extends Error {
  readonly code: Code;
  readonly where: string | undefined;
  readonly expected: string | undefined;
  readonly got: string | undefined;
  readonly help: string | undefined;
  readonly diagnostics: readonly Diagnostic[];

  constructor(code: Code, given: DiagnosticFields, options?: { cause?: unknown; also?: readonly Diagnostic[] }) {
    const fields = shown(given);
    super(fields.message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = "WebpeftError";
    this.code = code;
    this.where = fields.where;
    this.expected = fields.expected;
    this.got = fields.got;
    this.help = fields.help;
    this.diagnostics = [{ code, severity: "error", ...fields }, ...(options?.also ?? [])];
  }
}

/** The code of what is thrown and is no `WebpeftError`. */
export const defect = "DEFECT";

export const codeOf = (error: unknown): Code | typeof defect => (error instanceof WebpeftError ? error.code : defect);

/** Renders a diagnostic as the lines a terminal shows; without colour, without a stack. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { severity, code } = diagnostic;
  const { message, where, expected, got, help } = shown(diagnostic);
  const lines = [`${severity} ${code}: ${message}`];
  if (where !== undefined) lines.push(`  where:    ${where}`);
  if (expected !== undefined) lines.push(`  expected: ${expected}`);
  if (got !== undefined) lines.push(`  got:      ${got}`);
  if (help !== undefined) lines.push(`  help:     ${help}`);
  // A line break within a text begins no line that looks like one of these.
  return lines.map((line) => line.replaceAll("\n", "\n            ")).join("\n");
}

/** Collects warnings on the way; under `strict` a warning is thrown as an error with the same code. */
export class DiagnosticSink {
  readonly diagnostics: Diagnostic[] = [];
  constructor(readonly strict = false) {}

  warn(code: Code, fields: DiagnosticFields): void {
    if (this.strict) throw new WebpeftError(code, fields);
    this.once({ code, severity: "warning", ...shown(fields) });
  }

  note(code: Code, fields: DiagnosticFields): void {
    this.once({ code, severity: "note", ...shown(fields) });
  }

  private once(diagnostic: Diagnostic): void {
    const { code, message, where } = diagnostic;
    const known = this.diagnostics.some((d) => d.code === code && d.message === message && d.where === where);
    if (!known) this.diagnostics.push(diagnostic);
  }
}
