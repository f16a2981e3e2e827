/** What the parser says when a fragment does not fit the grammar: where, what was expected, what stands there, and a hint. */
import type { ILexingError, IParserErrorMessageProvider, IRecognitionException, IToken, TokenType } from "chevrotain";
import { type Diagnostic, WebpeftError } from "../../ir/diagnostics.ts";
import { limits } from "./limits.ts";
import { nearest } from "./suggest.ts";

const itemWords = ["config", "param", "shared", "buffer", "const", "computed", "stream", "let", "require", "on"];

/** How the rules of the grammar are called in messages. */
const ruleNames: Readonly<Record<string, string>> = {
  method: "a method",
  items: "the body of a block",
  item: "a statement",
  block: "an on block",
  fields: "a list of config fields",
  field: "a config field (name: type = default)",
  tensor: "a tensor declaration",
  clause: "a clause (at, save if, project, when)",
  projection: "a projection",
  stream: "a stream",
  let: "a let",
  require: "a require",
  target: "an assignment",
  arguments: "arguments",
  argument: "an argument",
  indices: "an index",
  list: "a list",
  map: "a map",
};

const ruleText = (rule: string): string => ruleNames[rule] ?? "an expression";
const labelOf = (type: TokenType | undefined): string => type?.LABEL ?? type?.name ?? "something else";
const endOf = (token: IToken): boolean => token.tokenType?.name === "EOF" || token.image === "";
const shown = (token: IToken): string => (endOf(token) ? "the end of the text" : JSON.stringify(token.image));

/** The messages are `expected|in`, taken apart by `syntaxErrors`; chevrotain lets no structured data through. */
const separator = "\u001f";
const message = (expected: string, rule: string): string => `${expected}${separator}${rule}`;

export const messageProvider: IParserErrorMessageProvider = {
  buildMismatchTokenMessage: ({ expected, ruleName }) => message(labelOf(expected), ruleName),
  buildNotAllInputParsedMessage: () => message("the end of the text", "method"),
  buildNoViableAltMessage: ({ expectedPathsPerAlt, ruleName }) => {
    const firsts = new Set(expectedPathsPerAlt.flatMap((paths) => paths.map((path) => labelOf(path[0]))));
    const short = firsts.size > 6 ? ruleText(ruleName) : [...firsts].join(" or ");
    return message(short, ruleName);
  },
  buildEarlyExitMessage: ({ expectedIterationPaths, ruleName }) => {
    const firsts = new Set(expectedIterationPaths.map((path) => labelOf(path[0])));
    return message(firsts.size > 6 ? ruleText("expression") : [...firsts].join(" or "), ruleName);
  },
};

const isName = (token: IToken | undefined): token is IToken => token?.tokenType?.name === "Name";

function hintFor(expected: string, rule: string, token: IToken, previous: IToken | undefined): string | undefined {
  if (token.image === "'") return "an apostrophe belongs to a target such as W' at the start of a statement";
  if (rule === "items" && isName(token)) {
    const word = nearest(token.image, itemWords);
    return word === undefined ? "a name is given a value by let, param or const" : `did you mean ${word}?`;
  }
  if (expected === '";"') {
    const word = isName(token) ? nearest(token.image, itemWords) : undefined;
    return `every statement ends with a semicolon${word === undefined ? "" : `; did you mean ${word}?`}`;
  }
  if (rule === "method" && isName(previous)) return "a method is: method name on linear { ... }";
  return undefined;
}

function placeOf(file: string, token: IToken, previous: IToken | undefined): string {
  if (!endOf(token) || previous === undefined || endOf(previous)) {
    return `${file}:${token.startLine || 1}:${token.startColumn || 1}`;
  }
  return `${file}:${previous.endLine ?? 1}:${(previous.endColumn ?? 0) + 1}`;
}

function fromParser(file: string, error: IRecognitionException): Diagnostic {
  const [expected = "", rule = ""] = error.message.split(separator);
  const previous = (error as IRecognitionException & { previousToken?: IToken }).previousToken;
  const help = hintFor(expected, rule, error.token, previous);
  return {
    code: "METHOD-SYNTAX",
    severity: "error",
    message: `The fragment does not read as ${ruleText(rule)}.`,
    where: placeOf(file, error.token, previous),
    expected,
    got: shown(error.token),
    ...(help === undefined ? {} : { help }),
  };
}

function fromLexer(file: string, text: string, error: ILexingError): Diagnostic {
  const got = JSON.stringify(text.slice(error.offset, error.offset + Math.min(error.length, 20)));
  const help =
    got === '"\'"' ? "write texts in double quotes" : text[error.offset] === '"' ? "the text is not closed" : undefined;
  return {
    code: "METHOD-SYNTAX",
    severity: "error",
    message: "This character has no meaning in a fragment.",
    where: `${file}:${error.line ?? 1}:${error.column ?? 1}`,
    got,
    ...(help === undefined ? {} : { help }),
  };
}

/** Line and column of a diagnostic, for sorting. */
function position(diagnostic: Diagnostic): number {
  const [line = 0, column = 0] = (diagnostic.where ?? "").split(":").slice(-2).map(Number);
  return line * 10_000 + column;
}

/** All syntax errors of a fragment in the order of the text, as one error. */
export function syntaxErrors(
  file: string,
  text: string,
  lexing: readonly ILexingError[],
  parsing: readonly IRecognitionException[],
): WebpeftError | undefined {
  const all = [...lexing.map((e) => fromLexer(file, text, e)), ...parsing.map((e) => fromParser(file, e))];
  return collected(all);
}

/** One error that carries all diagnostics, sorted by place; undefined when there are none. */
export function collected(diagnostics: readonly Diagnostic[]): WebpeftError | undefined {
  const distinct = new Map(diagnostics.map((diagnostic) => [`${diagnostic.where} ${diagnostic.message}`, diagnostic]));
  const sorted = [...distinct.values()].sort((a, b) => position(a) - position(b));
  const [first, ...also] = sorted.slice(0, limits.messages);
  if (first === undefined) return undefined;
  const { code, severity: _severity, ...fields } = first;
  return new WebpeftError(code, fields, { also });
}
