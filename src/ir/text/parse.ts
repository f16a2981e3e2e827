/** Reads the textual IR of `print.ts`. Nothing in a text is run; all errors of a text are reported at once. */
import { type Diagnostic, WebpeftError } from "../diagnostics.ts";
import type { Graph } from "../graph.ts";
import { readGraph } from "./grammar.ts";
import { Reader } from "./reader.ts";
import { resolve } from "./resolve.ts";
import type { Place } from "./syntax.ts";
import { type Foreign, tokensOf } from "./tokens.ts";

/**
 * The graph of a text. Throws a `WebpeftError` whose `diagnostics` hold every error: `IR-TEXT-SYNTAX` (one for a line), or, when
 * the syntax is right, `IR-TEXT-VALUE`, `IR-TEXT-OP`, `IR-TEXT-ATTRIBUTE`, `IR-TEXT-TYPE`, `IR-TEXT-PORT` and `IR-TEXT-NOTE`.
 * `file` is the name that messages give before line and column. Unless `checked`, graphs that the verifier refuses are read too: what it
 * reports of ops, attributes, types and ports is left to it.
 */
export function parseGraph(text: string, file = "text", checked = true): Graph {
  const where = ({ line, column }: Place): string => `${file}:${line}:${column}`;
  const { tokens, comments, foreign } = tokensOf(text);
  const reader = new Reader(tokens, where);
  const syntax = readGraph(reader);
  throwAll(firstOfEveryLine([...foreign.map((one) => foreignDiagnostic(one, where)), ...reader.faults]));
  const { graph, diagnostics } = resolve(syntax, comments, where);
  throwAll(checked ? diagnostics : diagnostics.filter(({ code }) => !alsoVerified.includes(code)));
  return graph;
}

const alsoVerified: readonly string[] = ["IR-TEXT-OP", "IR-TEXT-ATTRIBUTE", "IR-TEXT-TYPE", "IR-TEXT-PORT"];

const foreignDiagnostic = (one: Foreign, where: (place: Place) => string): Diagnostic => ({
  code: "IR-TEXT-SYNTAX",
  severity: "error",
  message: "these characters begin nothing that the textual IR knows",
  where: where(one),
  got: JSON.stringify(one.text.slice(0, 20)),
  help: "strings stand in double quotes, values begin with %, comments with //",
});

/** After a first error on a line, what else does not fit there is mostly its consequence. */
function firstOfEveryLine(problems: readonly Diagnostic[]): readonly Diagnostic[] {
  const lineOf = (diagnostic: Diagnostic): string => diagnostic.where?.replace(/:\d+$/, "") ?? "";
  return problems.filter((problem, i) => problems.findIndex((other) => lineOf(other) === lineOf(problem)) === i);
}

function throwAll(diagnostics: readonly Diagnostic[]): void {
  const [first, ...also] = diagnostics;
  if (first === undefined) return;
  const { code, severity: _error, ...fields } = first;
  throw new WebpeftError(code, fields, { also });
}
