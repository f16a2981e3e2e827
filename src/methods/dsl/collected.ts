/** All faults of a text as one error. */
import { type Diagnostic, WebpeftError } from "../../ir/diagnostics.ts";
import { limits } from "./limits.ts";

/** Line and column of a diagnostic, for sorting. */
function position(diagnostic: Diagnostic): number {
  const [line = 0, column = 0] = (diagnostic.where ?? "").split(":").slice(-2).map(Number);
  return line * 10_000 + column;
}

/** Each once, sorted by place. */
export const inOrder = (diagnostics: readonly Diagnostic[]): Diagnostic[] =>
  [...new Map(diagnostics.map((one) => [`${one.where} ${one.message}`, one])).values()].sort(
    (a, b) => position(a) - position(b),
  );

/** One error that carries all diagnostics, sorted by place; undefined when there are none. */
export function collected(diagnostics: readonly Diagnostic[]): WebpeftError | undefined {
  const [first, ...also] = inOrder(diagnostics).slice(0, limits.messages);
  if (first === undefined) return undefined;
  const { code, severity: _severity, ...fields } = first;
  return new WebpeftError(code, fields, { also });
}
