/** What commands print: results on stdout, everything else on stderr. */
import { type Diagnostic, defect, formatDiagnostic, printable, WebpeftError } from "../ir/diagnostics.ts";

export interface PrintOptions {
  readonly json?: boolean;
}

/** A line for people: stdout, or stderr when stdout is for machines. */
export function say(options: PrintOptions, text: string): void {
  (options.json ? process.stderr : process.stdout).write(`${printable(text)}\n`);
}

/** JSON escapes what terminals act on below 32 only; the rest is the same value as an escape. */
const json = (record: Readonly<Record<string, unknown>>): string => printable(JSON.stringify(record));

/** A line for machines; only with `--json`. */
export function emit(options: PrintOptions, record: Readonly<Record<string, unknown>>): void {
  if (options.json) process.stdout.write(`${json(record)}\n`);
}

export function warn(diagnostics: readonly Diagnostic[]): void {
  for (const diagnostic of diagnostics) process.stderr.write(`${formatDiagnostic(diagnostic)}\n`);
}

/** Exit codes: there are no others. `unread` is what shells say of a command that SIGPIPE ended. */
export const exitCodes = { done: 0, failed: 1, usage: 2, unread: 141 } as const;

/**
 * Tells what went wrong, with its code and without a stack (a stack only for defects and on request), and returns the exit code: a command
 * line that makes no sense (`CLI-*`) is wrong usage, everything else a failure.
 */
export function report(
  error: unknown,
  options: { readonly debug: { readonly level: number }; readonly failure: { readonly isWritten: boolean } },
): number {
  if (error instanceof WebpeftError) {
    warn(error.diagnostics);
    return error.code.startsWith("CLI-") ? exitCodes.usage : exitCodes.failed;
  }
  const text = error instanceof Error ? error.message : String(error);
  const help = options.failure.isWritten
    ? "this is a defect of webpeft: please report it with the folder of --dump"
    : "this is a defect of webpeft; --debug 1 shows where, --dump DIR writes what was made before it and what shows it again";
  process.stderr.write(`error ${defect}: ${printable(text)}\n  help:     ${help}\n`);
  if (options.debug.level > 0 && error instanceof Error) process.stderr.write(`${printable(error.stack ?? "")}\n`);
  return exitCodes.failed;
}
