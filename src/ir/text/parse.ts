/** Reads the textual IR of `print.ts`. Nothing in a text is run; all errors of a text are reported at once. */
import { type IRecognitionException, type IToken, Lexer } from "chevrotain";
import { type Diagnostic, WebpeftError } from "../diagnostics.ts";
import type { Graph } from "../graph.ts";
import { once } from "../remember.ts";
import { GraphParser } from "./grammar.ts";
import { lex, tokens } from "./lexer.ts";
import { resolve } from "./resolve.ts";
import type { GraphSyntax, Place } from "./syntax.ts";

// Both are constants that cost milliseconds to build, so only who parses pays.
const lexer = once(() => new Lexer([...tokens]));
const parser = once(() => new GraphParser());

/**
 * The graph of a text. Throws a `WebpeftError` whose `diagnostics` hold every error: `IR-TEXT-SYNTAX` (one for a line), or, when
 * the syntax is right, `IR-TEXT-VALUE`, `IR-TEXT-OP`, `IR-TEXT-ATTRIBUTE`, `IR-TEXT-TYPE`, `IR-TEXT-PORT` and `IR-TEXT-NOTE`.
 * `file` is the name that messages give before line and column. Unless `checked`, graphs that the verifier refuses are read too: what it
 * reports of ops, attributes, types and ports is left to it.
 */
export function parseGraph(text: string, file = "text", checked = true): Graph {
  const where = ({ line, column }: Place): string => `${file}:${line}:${column}`;
  const { tokens: found, comments, errors } = lex(lexer(), text);
  const problems: Diagnostic[] = errors.map((error) => ({
    code: "IR-TEXT-SYNTAX",
    severity: "error",
    message: "these characters begin nothing that the textual IR knows",
    where: where(error),
    got: JSON.stringify(error.text),
    help: "strings stand in double quotes, values begin with %, comments with //",
  }));
  checkDepth(found, where);
  const grammar = parser();
  grammar.input = found;
  const syntax: GraphSyntax | undefined = grammar.graph();
  problems.push(...grammar.errors.map((error) => syntaxDiagnostic(error, text, where)));
  throwAll(firstOfEveryLine(problems));
  const { graph, diagnostics } = resolve(syntax, comments, where);
  throwAll(checked ? diagnostics : diagnostics.filter(({ code }) => !alsoVerified.includes(code)));
  return graph;
}

/** Attributes are at most a few lists deep; the grammar calls itself for every one. */
const deepest = 100;

function checkDepth(found: readonly IToken[], where: (place: Place) => string): void {
  let depth = 0;
  for (const token of found) {
    if (opening.has(token.image)) depth++;
    if (closing.has(token.image)) depth--;
    if (depth > deepest)
      throw new WebpeftError("IR-TEXT-SYNTAX", {
        message: "brackets stand too deep within each other",
        where: where(placeOf(token)),
        expected: `at most ${deepest}`,
        got: `${depth} that are open`,
      });
  }
}

const opening: ReadonlySet<string> = new Set("([{");
const closing: ReadonlySet<string> = new Set(")]}");

const alsoVerified: readonly string[] = ["IR-TEXT-OP", "IR-TEXT-ATTRIBUTE", "IR-TEXT-TYPE", "IR-TEXT-PORT"];

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

function syntaxDiagnostic(error: IRecognitionException, text: string, where: (place: Place) => string): Diagnostic {
  const ended = Number.isNaN(error.token.startOffset) || error.token.image === "";
  const place = ended ? endOf(text) : placeOf(error.token);
  const rule = error.context.ruleStack.at(-1) ?? "graph";
  return {
    code: "IR-TEXT-SYNTAX",
    severity: "error",
    message: `this does not fit into a ${ruleNames[rule] ?? rule}`,
    where: where(place),
    expected: error.message,
    got: ended ? "the end of the text" : JSON.stringify(error.token.image),
    ...(ruleHints[rule] === undefined ? {} : { help: ruleHints[rule] }),
  };
}

const placeOf = (token: IToken): Place => ({ line: token.startLine ?? 1, column: token.startColumn ?? 1 });

function endOf(text: string): Place {
  const lines = text.split(/\r\n|\n|\r/);
  return { line: lines.length, column: lines.at(-1)!.length + 1 };
}

const ruleNames: Readonly<Record<string, string>> = { graph: "function", json: "attribute value" };

const ruleHints: Readonly<Record<string, string>> = {
  graph: "write func @name(parameters) { statements return name = %value }",
  parameter: 'write %x: f32[4,12] input, or %0: f32[4,12] weight "its.name"',
  statement: "write %2 = op %0, %1 {attribute: 1} : f32[4]; every value states its type",
  return: "write return name = %0, other = %1",
  type: "write f32[4,12], f32[] for a scalar, or op[12,4] for an operator",
  attributes: 'write {axis: 1, shape: [2, 3], spec: "mk,nk->mn"}',
};
