/**
 * Diagnostics are data: a code, a severity, and fields; the words are made from the fields. Everything that can go wrong
 * because of what a user gave is a `WebpeftError`; anything else that is thrown is a defect of webpeft.
 */

export type Severity = "error" | "warning" | "note";

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

export interface Diagnostic extends DiagnosticFields {
  /** Stable, upper case with dashes, e.g. `CONFIG-FIELD-RANGE`; the first word is the room it comes from. */
  code: string;
  severity: Severity;
}

/** The one error class of the project; `diagnostics` holds more than one when several things were wrong at once. */
export class WebpeftError extends Error {
  readonly code: string;
  readonly where: string | undefined;
  readonly expected: string | undefined;
  readonly got: string | undefined;
  readonly help: string | undefined;
  readonly diagnostics: readonly Diagnostic[];

  constructor(code: string, fields: DiagnosticFields, options?: { cause?: unknown; also?: readonly Diagnostic[] }) {
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

/** Renders a diagnostic as the lines a terminal shows; without colour, without a stack. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const lines = [`${diagnostic.severity} ${diagnostic.code}: ${diagnostic.message}`];
  if (diagnostic.where !== undefined) lines.push(`  where:    ${diagnostic.where}`);
  if (diagnostic.expected !== undefined) lines.push(`  expected: ${diagnostic.expected}`);
  if (diagnostic.got !== undefined) lines.push(`  got:      ${diagnostic.got}`);
  if (diagnostic.help !== undefined) lines.push(`  help:     ${diagnostic.help}`);
  return lines.join("\n");
}

/** Collects warnings on the way; under `strict` a warning is thrown as an error with the same code. */
export class DiagnosticSink {
  readonly diagnostics: Diagnostic[] = [];
  constructor(readonly strict = false) {}

  warn(code: string, fields: DiagnosticFields): void {
    if (this.strict) throw new WebpeftError(code, fields);
    this.once({ code, severity: "warning", ...fields });
  }

  note(code: string, fields: DiagnosticFields): void {
    this.once({ code, severity: "note", ...fields });
  }

  private once(diagnostic: Diagnostic): void {
    const { code, message, where } = diagnostic;
    const known = this.diagnostics.some((d) => d.code === code && d.message === message && d.where === where);
    if (!known) this.diagnostics.push(diagnostic);
  }
}
