/** The words of the method language: a text cut into tokens with their places. */
import type { Place } from "./ast.ts";
import { limits } from "./limits.ts";

/** Words that are no names. */
const words = new Set(
  (
    "method on from tied backwards also coded within replaces config param shared buffer const computed stream input below given mixes " +
    "trained report for by let require else warn help at as save project when if and or not true false null"
  ).split(" "),
);

export interface Token {
  readonly kind: "word" | "name" | "target" | "number" | "text" | "sign" | "end";
  readonly image: string;
  readonly at: Place;
}

/** A character, or several, that begin no token. */
export interface Foreign {
  readonly text: string;
  readonly at: Place;
}

const blank = /(?:\s+|\/\/[^\n\r]*|\/\*[^*]*\*+(?:[^/*][^*]*\*+)*\/)+/y;
/** A group for every kind of token. */
const token =
  /(?<target>[A-Za-z_][A-Za-z0-9_]*')|(?<name>[A-Za-z_][A-Za-z0-9_]*)|(?<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?<text>"(?:[^"\\\n\r]|\\["\\n])*")|(?<sign>\.\.|\.\*|==|!=|<=|>=|[-.<>=+*/@?:;,{}()[\]])/y;

/** `\"`, `\\` and `\n` are the only escapes. */
export const unquoted = (image: string): string =>
  image.slice(1, -1).replace(/\\(.)/g, (_all, escaped: string) => (escaped === "n" ? "\n" : escaped));

/** The tokens of a text, an end behind them, and what is none. `firstLine` is the number of its first line. */
export function tokensOf(text: string, firstLine: number): { tokens: Token[]; foreign: Foreign[] } {
  const [tokens, foreign]: [Token[], Foreign[]] = [[], []];
  let [offset, line, lineStart, foreignEnd] = [0, firstLine, 0, -1];
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = offset;
    return pattern.exec(text);
  };
  const skip = (passed: string): void => {
    for (const found of passed.matchAll(/\r\n|\n|\r/g)) {
      line++;
      lineStart = offset + found.index + found[0].length;
    }
    offset += passed.length;
  };
  // What lies behind is too much to read.
  while (offset < text.length && tokens.length <= limits.tokens) {
    const space = match(blank);
    if (space !== null) {
      skip(space[0]);
      continue;
    }
    const at = { line, column: offset - lineStart + 1 };
    const found = match(token);
    if (found === null) {
      const before = foreignEnd === offset ? foreign.pop()! : { text: "", at };
      foreign.push({ ...before, text: before.text + text[offset] });
      foreignEnd = ++offset;
      continue;
    }
    const [image] = found;
    const [kind] = Object.entries(found.groups!).find(([, text]) => text !== undefined) as [Token["kind"], string];
    tokens.push({ kind: kind === "name" && words.has(image) ? "word" : kind, image, at });
    offset += image.length;
  }
  tokens.push({ kind: "end", image: "", at: { line, column: offset - lineStart + 1 } });
  return { tokens, foreign };
}
