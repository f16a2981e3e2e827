/** Python regular expressions in configs: what PEFT gives to `re.match` and `re.fullmatch`. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { compileRegex, type RegexProgram, runRegex } from "./program.ts";
import { parseRegex, RegexSyntaxError } from "./syntax.ts";

export interface Regex {
  /** `re.fullmatch(pattern, text) is not None`. */
  fullMatch(text: string): boolean;
  /** `re.match(pattern, text)`: the groups (index 0 is unused), or undefined. */
  match(text: string): readonly (string | undefined)[] | undefined;
}

const maximumLength = 20_000;

/**
 * Compiles a pattern that came from config field `field`. Throws CONFIG-REGEX for what Python refuses, for what is not
 * supported here, and for patterns that are too large.
 */
export function compilePattern(pattern: string, field: string): Regex {
  const program = programOf(pattern, field);
  return {
    fullMatch: (text) => runRegex(program, text, true) !== undefined,
    match: (text) => runRegex(program, text, false),
  };
}

function programOf(pattern: string, field: string): RegexProgram {
  const shown = pattern.length > 100 ? `${pattern.slice(0, 100)}...` : pattern;
  try {
    if (pattern.length > maximumLength) throw new RegexSyntaxError("the pattern is too long", maximumLength);
    return compileRegex(parseRegex(pattern));
  } catch (error) {
    if (!(error instanceof RegexSyntaxError)) throw error;
    throw new WebpeftError("CONFIG-REGEX", {
      message: `The regular expression in ${field} cannot be used: ${error.message} at position ${error.position}.`,
      where: field,
      expected: "a Python regular expression",
      got: shown,
      help: "Names are given as a list; a single string is a regular expression for the whole module path.",
    });
  }
}
