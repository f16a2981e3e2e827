/**
 * Limits that keep a hostile fragment from costing more than milliseconds. They are checked on the text and its tokens, before anything
 * recursive looks at them. A fragment has no loops but counted ones, so evaluation is bounded by `steps`.
 */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { Place } from "./ast.ts";

export const limits = {
  /** Characters of a fragment. */
  length: 64 * 1024,
  /** Tokens of a fragment. */
  tokens: 20_000,
  /** Tokens between two semicolons: bounds the depth of any expression. */
  statement: 600,
  /** Open brackets at any place. */
  depth: 40,
  /** Prefix operators in a row, and nested `? :` in one statement. */
  chain: 40,
  /** Messages reported at once. */
  messages: 20,
  /** Expressions evaluated for one site. */
  steps: 100_000,
  /** Expressions that wait for each other (a let for the lets that it reads, a sum for its terms): what half of the smallest stack of an engine holds. */
  waiting: 300,
  /** Operators in each other: factors of factors, terms of terms. */
  operators: 300,
  /** Turns of a counted loop, and tensors of a family; or as many as there are sites, where that is more. `steps` bounds what they cost. */
  turns: 1024,
  /** Rank of a tensor. */
  rank: 8,
  /** Elements of a tensor: 4 GiB of f32. */
  elements: 2 ** 30,
  /** Elements of all tensors of an adapter together, or what its base model bears, where that is more: 64 MiB of f32. */
  together: 2 ** 24,
} as const;

export function limitError(file: string, what: string, limit: number, at?: Place): WebpeftError {
  return new WebpeftError("METHOD-LIMIT", {
    message: `The method fragment is too large: ${what}.`,
    where: at === undefined ? file : `${file}:${at.line}:${at.column}`,
    expected: `at most ${limit}`,
    help: "Split the formula with let, or write fewer declarations.",
  });
}

export function checkLength(file: string, text: string): void {
  if (text.length > limits.length) throw limitError(file, `${text.length} characters`, limits.length);
}

const opening = new Set(["{", "(", "["]);
const closing = new Set(["}", ")", "]"]);
const prefixes = new Set(["-", "not"]);

/** Throws METHOD-LIMIT when parsing or evaluating these tokens could nest too deep. */
export function checkTokens(file: string, tokens: readonly { readonly image: string; readonly at: Place }[]): void {
  if (tokens.length > limits.tokens) throw limitError(file, `${tokens.length} words`, limits.tokens);
  let [depth, statement, prefix, choices] = [0, 0, 0, 0];
  for (const { image, at } of tokens) {
    if (opening.has(image)) depth++;
    if (closing.has(image)) depth--;
    statement = image === ";" ? 0 : statement + 1;
    prefix = prefixes.has(image) ? prefix + 1 : 0;
    if (image === "?") choices++;
    if (image === ";") choices = 0;
    if (depth > limits.depth) throw limitError(file, "brackets are nested too deep", limits.depth, at);
    if (statement > limits.statement) throw limitError(file, "a statement has too many words", limits.statement, at);
    if (Math.max(prefix, choices) > limits.chain)
      throw limitError(file, "too many - or not or ? in a row", limits.chain, at);
  }
}
