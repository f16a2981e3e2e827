/** Tokens of the textual IR. Every token has a label, which is what messages call it. */
import { createToken, type IToken, Lexer, type TokenType } from "chevrotain";

const symbol = (name: string, text: string): TokenType => createToken({ name, pattern: text, label: `"${text}"` });

export const Word = createToken({ name: "Word", pattern: /[A-Za-z_]\w*(?:\.\w+)*/, label: "a word" });

const keyword = (text: string): TokenType =>
  createToken({ name: `Keyword_${text}`, pattern: text, longer_alt: Word, label: `"${text}"` });

export const Func = keyword("func");
export const Return = keyword("return");
export const True = keyword("true");
export const False = keyword("false");
export const Null = keyword("null");
export const Value = createToken({
  name: "Value",
  pattern: /%(?:\d+|[A-Za-z_]\w*)/,
  label: "a value such as %0 or %x",
});
export const NumberToken = createToken({
  name: "Number",
  pattern: /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/,
  label: "a number",
});
export const StringToken = createToken({
  name: "String",
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what JSON strings must not hold
  pattern: /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/,
  label: "a string",
});
export const At = symbol("At", "@");
export const LeftParenthesis = symbol("LeftParenthesis", "(");
export const RightParenthesis = symbol("RightParenthesis", ")");
export const LeftBrace = symbol("LeftBrace", "{");
export const RightBrace = symbol("RightBrace", "}");
export const LeftBracket = symbol("LeftBracket", "[");
export const RightBracket = symbol("RightBracket", "]");
export const Comma = symbol("Comma", ",");
export const Colon = symbol("Colon", ":");
export const Equals = symbol("Equals", "=");

const Blank = createToken({ name: "Blank", pattern: /\s+/, group: Lexer.SKIPPED });
/** Comments are kept aside: those behind a parameter or statement are notes. */
const Comment = createToken({ name: "Comment", pattern: /\/\/[^\n\r]*/, group: "comments" });

export const tokens: readonly TokenType[] = [
  Blank,
  Comment,
  Func,
  Return,
  True,
  False,
  Null,
  Word,
  Value,
  NumberToken,
  StringToken,
  At,
  LeftParenthesis,
  RightParenthesis,
  LeftBrace,
  RightBrace,
  LeftBracket,
  RightBracket,
  Comma,
  Colon,
  Equals,
];

export interface LexedText {
  readonly tokens: IToken[];
  readonly comments: readonly IToken[];
  readonly errors: readonly { readonly line: number; readonly column: number; readonly text: string }[];
}

/** Splits a text; characters that begin no token are reported with their places and skipped. */
export function lex(lexer: Lexer, text: string): LexedText {
  const result = lexer.tokenize(text);
  return {
    tokens: result.tokens,
    comments: result.groups.comments ?? [],
    errors: result.errors.map((error) => ({
      line: error.line ?? 1,
      column: error.column ?? 1,
      text: text.slice(error.offset, error.offset + Math.min(error.length, 20)),
    })),
  };
}
