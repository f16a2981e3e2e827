/** The words of the fragment language. Made anew for every parse, so that importing this file costs nothing. */
import { createToken, Lexer, type TokenType } from "chevrotain";

const words = [
  "method",
  "on",
  "from",
  "tied",
  "backwards",
  "also",
  "coded",
  "within",
  "replaces",
  "config",
  "param",
  "shared",
  "buffer",
  "const",
  "computed",
  "stream",
  "input",
  "below",
  "given",
  "mixes",
  "trained",
  "report",
  "for",
  "by",
  "let",
  "require",
  "else",
  "warn",
  "help",
  "at",
  "as",
  "save",
  "project",
  "when",
  "if",
  "and",
  "or",
  "not",
  "true",
  "false",
  "null",
] as const;

/** Longer ones first where one begins another. */
const signs = {
  Range: "..",
  Elementwise: ".*",
  Dot: ".",
  Equal: "==",
  Unequal: "!=",
  AtMost: "<=",
  AtLeast: ">=",
  Less: "<",
  Greater: ">",
  Assign: "=",
  Plus: "+",
  Minus: "-",
  Times: "*",
  Divide: "/",
  Compose: "@",
  Question: "?",
  Colon: ":",
  Semicolon: ";",
  Comma: ",",
  OpenBrace: "{",
  CloseBrace: "}",
  OpenParenthesis: "(",
  CloseParenthesis: ")",
  OpenBracket: "[",
  CloseBracket: "]",
} as const;

export type Word = (typeof words)[number];
export type Sign = keyof typeof signs;

export interface Tokens {
  readonly all: readonly TokenType[];
  readonly name: TokenType;
  readonly target: TokenType;
  readonly number: TokenType;
  readonly text: TokenType;
  readonly word: Readonly<Record<Word, TokenType>>;
  readonly sign: Readonly<Record<Sign, TokenType>>;
}

export function makeTokens(): Tokens {
  const name = createToken({ name: "Name", label: "a name", pattern: /[A-Za-z_][A-Za-z0-9_]*/ });
  const target = createToken({ name: "Target", label: "a target such as W'", pattern: /[A-Za-z_][A-Za-z0-9_]*'/ });
  const number = createToken({ name: "Number", label: "a number", pattern: /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/ });
  const text = createToken({ name: "Text", label: "a text in double quotes", pattern: /"(?:[^"\\\n\r]|\\["\\n])*"/ });
  const skipped = [
    createToken({ name: "Blank", pattern: /\s+/, group: Lexer.SKIPPED, line_breaks: true }),
    createToken({ name: "LineComment", pattern: /\/\/[^\n\r]*/, group: Lexer.SKIPPED }),
    createToken({
      name: "BlockComment",
      pattern: /\/\*[^*]*\*+(?:[^/*][^*]*\*+)*\//,
      group: Lexer.SKIPPED,
      line_breaks: true,
    }),
  ];
  const word = Object.fromEntries(
    words.map((w) => [w, createToken({ name: `Word_${w}`, label: `"${w}"`, pattern: w, longer_alt: [target, name] })]),
  ) as Record<Word, TokenType>;
  const sign = Object.fromEntries(
    Object.entries(signs).map(([key, image]) => [key, createToken({ name: key, label: `"${image}"`, pattern: image })]),
  ) as Record<Sign, TokenType>;
  const all = [...skipped, ...Object.values(word), target, name, number, text, ...Object.values(sign)];
  return { all, name, target, number, text, word, sign };
}
