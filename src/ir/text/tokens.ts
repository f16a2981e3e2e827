/** The words of the textual IR: a text cut into tokens with their places. */
import type { Place } from "./syntax.ts";

/** Words that are no names. */
export const keywords: ReadonlySet<string> = new Set(["func", "return", "true", "false", "null"]);

export interface Token extends Place {
  readonly kind: "keyword" | "word" | "value" | "number" | "string" | "sign" | "comment" | "end";
  readonly image: string;
}

/** A character, or several, that begin no token. */
export interface Foreign extends Place {
  readonly text: string;
}

export interface Tokens {
  /** An end stands behind them. */
  readonly tokens: readonly Token[];
  /** Kept aside: those behind a parameter or a statement are notes. */
  readonly comments: readonly Token[];
  readonly foreign: readonly Foreign[];
}

const blank = /\s+/y;
/** A group for every kind of token; strings are those of JSON. */
const token =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what JSON strings must not hold
  /(?<comment>\/\/[^\n\r]*)|(?<word>[A-Za-z_]\w*(?:\.\w+)*)|(?<value>%(?:\d+|[A-Za-z_]\w*))|(?<number>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?<string>"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(?<sign>[@(){}[\],:=])/y;
const kinds = ["comment", "word", "value", "number", "string", "sign"] as const;

const matchAt = (pattern: RegExp, text: string, offset: number): RegExpExecArray | null => {
  pattern.lastIndex = offset;
  return pattern.exec(text);
};

export function tokensOf(text: string): Tokens {
  const [tokens, comments, foreign]: [Token[], Token[], Foreign[]] = [[], [], []];
  let [offset, line, lineStart, foreignEnd] = [0, 1, 0, -1];
  while (offset < text.length) {
    const space = matchAt(blank, text, offset)?.[0];
    if (space !== undefined) {
      for (const { 0: end, index } of space.matchAll(/\r\n|\n|\r/g)) {
        line++;
        lineStart = offset + index + end.length;
      }
      offset += space.length;
      continue;
    }
    const at = { line, column: offset - lineStart + 1 };
    const found = matchAt(token, text, offset);
    if (found === null) {
      const before = foreignEnd === offset ? foreign.pop()! : { text: "", ...at };
      foreign.push({ ...before, text: before.text + text[offset] });
      foreignEnd = ++offset;
      continue;
    }
    const [image] = found;
    const group = kinds[found.slice(1).findIndex((part) => part !== undefined)]!;
    const kind = group === "word" && keywords.has(image) ? "keyword" : group;
    (kind === "comment" ? comments : tokens).push({ kind, image, ...at });
    offset += image.length;
  }
  tokens.push({ kind: "end", image: "", line, column: offset - lineStart + 1 });
  return { tokens, comments, foreign };
}
