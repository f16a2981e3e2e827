/** Reads a method fragment: text to tree, with every error of the text at once. */
import { Lexer } from "chevrotain";
import type { MethodAst } from "./ast.ts";
import { checkLength, checkTokens } from "./limits.ts";
import { messageProvider, syntaxErrors } from "./messages.ts";
import { FragmentParser } from "./parser.ts";
import { makeTokens } from "./tokens.ts";

/**
 * The tree of a fragment. `file` names it in messages (`lora.ts:6:3`): lines are those of the file, whose line `firstLine` begins the text.
 * Throws METHOD-SYNTAX with all errors of the text, METHOD-LIMIT when it is too large.
 */
export function parseFragment(source: string, file: string, firstLine = 1): MethodAst {
  checkLength(file, source);
  const text = "\n".repeat(firstLine - 1) + source;
  const tokens = makeTokens();
  const lexed = new Lexer([...tokens.all], { ensureOptimizations: false, positionTracking: "full" }).tokenize(text);
  checkTokens(file, lexed.tokens);
  const parser = new FragmentParser(tokens, messageProvider);
  parser.input = lexed.tokens;
  const header = parser.method();
  const error = syntaxErrors(file, text, lexed.errors, parser.errors);
  if (error !== undefined) throw error;
  return { ...header, file, source, firstLine };
}
