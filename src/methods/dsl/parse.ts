/** Reads a method fragment: text to tree, with every error of the text at once. */
import { Lexer } from "chevrotain";
import type { MethodAst } from "./ast.ts";
import { checkLength, checkTokens } from "./limits.ts";
import { messageProvider, syntaxErrors } from "./messages.ts";
import { FragmentParser } from "./parser.ts";
import { makeTokens } from "./tokens.ts";

/**
 * The tree of a fragment. `file` names it in messages (`lora.ts:6:3`; lines and columns count from 1 inside the text).
 * Throws METHOD-SYNTAX with all errors of the text, METHOD-LIMIT when it is too large.
 */
export function parseFragment(source: string, file: string): MethodAst {
  checkLength(file, source);
  const tokens = makeTokens();
  const lexed = new Lexer([...tokens.all], { ensureOptimizations: false, positionTracking: "full" }).tokenize(source);
  checkTokens(file, lexed.tokens);
  const parser = new FragmentParser(tokens, messageProvider);
  parser.input = lexed.tokens;
  const header = parser.method();
  const error = syntaxErrors(file, source, lexed.errors, parser.errors);
  if (error !== undefined) throw error;
  return { ...header, file, source };
}
