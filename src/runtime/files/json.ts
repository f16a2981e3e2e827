/** JSON as checkpoints hold it: read with coded errors and a look at keys that are there twice, written as Python writes it. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { endOfString, jsonPlace } from "./json-place.ts";

export type JsonObject = Record<string, unknown>;

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Configs are nested a handful deep. */
const deepestConfig = 100;

/** Parses a JSON file that must hold an object. Throws `FILE-JSON`. */
export function parseJsonObject(text: string, file: string): JsonObject {
  const { depth } = nestingOf(text);
  if (depth > deepestConfig) {
    const expected = `a depth of ${deepestConfig} at most`;
    const got = `${depth}`;
    throw new WebpeftError("FILE-JSON", { message: "the file is nested too deeply", where: file, expected, got });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const got = error instanceof Error ? error.message : String(error);
    const where = jsonPlace(file, text);
    throw new WebpeftError("FILE-JSON", { message: "the file is not valid JSON", where, got }, { cause: error });
  }
  if (isJsonObject(value)) return value;
  const got = Array.isArray(value) ? "an array" : value === null ? "null" : `a ${typeof value}`;
  throw new WebpeftError("FILE-JSON", {
    message: "the file holds no JSON object",
    where: file,
    expected: "an object",
    got,
  });
}

/**
 * How deep objects and lists are nested in a text, and how many there are; for any text, JSON or not. Asked before parsing what comes
 * from strangers: a megabyte of brackets takes a hundred of objects, and recursion over them overflows the stack.
 */
export function nestingOf(text: string): { depth: number; count: number } {
  let depth = 0;
  let deepest = 0;
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '"') at = endOfString(text, at);
    else if (character === "{" || character === "[") {
      count++;
      depth++;
      deepest = Math.max(deepest, depth);
    } else if (character === "}" || character === "]") depth--;
  }
  return { depth: deepest, count };
}

/**
 * The path of the first key that an object has twice, or undefined. `JSON.parse` keeps the last one silently. The text must be valid
 * JSON; the scan uses no recursion.
 */
export function duplicateKey(text: string): readonly string[] | undefined {
  const open: { keys: Set<string>; last: string }[] = [];
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "{" || character === "[") open.push({ keys: new Set(), last: "" });
    else if (character === "}" || character === "]") open.pop();
    else if (character === '"') {
      const begin = at;
      at = endOfString(text, begin);
      if (!isFollowedByColon(text, at + 1)) continue;
      const level = open.at(-1)!;
      level.last = JSON.parse(text.slice(begin, at + 1)) as string;
      if (level.keys.has(level.last)) return open.map((o) => o.last);
      level.keys.add(level.last);
    }
  }
  return undefined;
}

function isFollowedByColon(text: string, from: number): boolean {
  let at = from;
  while (/\s/.test(text[at] ?? "")) at++;
  return text[at] === ":";
}

/**
 * The text that `json.dumps(value, indent=2, sort_keys=True)` of Python gives. JSON has one type of number, Python two: numbers of the
 * top-level fields named in `floatFields` (inside lists and maps too) are floats, written `8.0`; all others are floats only if they have
 * a fraction. The keys of the top-level field `ordered` keep their order.
 */
export function pythonJson(value: JsonObject, floatFields: ReadonlySet<string> = new Set(), ordered?: string): string {
  const write = (item: unknown, indent: string, float: boolean, sorts = true): string => {
    if (typeof item === "number") return pythonNumber(item, float);
    if (typeof item === "string") return pythonString(item);
    const inner = `${indent}  `;
    if (Array.isArray(item)) {
      return wrap(
        "[",
        item.map((element) => inner + write(element, inner, float)),
        `${indent}]`,
      );
    }
    if (!isJsonObject(item)) return item === null || item === undefined ? "null" : String(item);
    const keys = Object.keys(item).filter((key) => item[key] !== undefined);
    const lines = (sorts ? keys.sort(byCodePoint) : keys).map((key) => {
      const isFloat = float || (indent === "" && floatFields.has(key));
      return `${inner}${pythonString(key)}: ${write(item[key], inner, isFloat, indent !== "" || key !== ordered)}`;
    });
    return wrap("{", lines, `${indent}}`);
  };
  return write(value, "", false);
}

/** The texts of the members of the object that a valid JSON text is, by name. */
function memberTexts(text: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>();
  const name = /[\s{,]*("(?:[^"\\]|\\.)*")\s*:\s*/y;
  const part = /"(?:[^"\\]|\\.)*"|[[\]{},]|[^"[\]{},]+/y;
  for (let found = name.exec(text); found !== null; found = name.exec(text)) {
    const start = name.lastIndex;
    part.lastIndex = start;
    let [depth, end] = [0, start];
    for (let piece = part.exec(text)?.[0]; piece !== undefined; piece = part.exec(text)?.[0]) {
      if (depth === 0 && (piece === "," || piece === "}")) break;
      if (piece === "{" || piece === "[") depth++;
      if (piece === "}" || piece === "]") depth--;
      end = part.lastIndex;
    }
    members.set(JSON.parse(found[1]!) as string, text.slice(start, end).trimEnd());
    name.lastIndex = end;
  }
  return members;
}

/**
 * `pythonJson` of an object that was changed after it had been read from a text: members that are as they were stand as in the text, so that
 * `2.0` stays a float.
 */
export function pythonJsonLike(value: JsonObject, text: string): string {
  const [before, texts] = [JSON.parse(text) as JsonObject, memberTexts(text)];
  const keys = Object.keys(value).filter((key) => value[key] !== undefined);
  const lines = keys.sort(byCodePoint).map((key) => {
    const written = pythonJson({ [key]: value[key] });
    const own =
      Object.hasOwn(before, key) && pythonJson({ [key]: before[key] }) === written ? texts.get(key) : undefined;
    return own === undefined ? written.slice("{\n".length, -"\n}".length) : `  ${pythonString(key)}: ${own}`;
  });
  return wrap("{", lines, "}");
}

function wrap(open: string, lines: readonly string[], close: string): string {
  return lines.length === 0 ? open + close.trim() : `${open}\n${lines.join(",\n")}\n${close}`;
}

/** Orders strings by code point, as Python and Rust (by UTF-8 bytes) do; JavaScript's own order is by UTF-16 unit. */
export function byCodePoint(a: string, b: string): number {
  const left = a[Symbol.iterator]();
  const right = b[Symbol.iterator]();
  for (;;) {
    const x = left.next();
    const y = right.next();
    if (x.done || y.done) return x.done ? (y.done ? 0 : -1) : 1;
    const difference = x.value.codePointAt(0)! - y.value.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
}

/** `repr` of a Python number: exponents below 1e-4 and from 1e16 on, with two digits at least. */
function pythonNumber(value: number, float: boolean): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
  if (Number.isInteger(value) && !float) return BigInt(value).toString();
  const [mantissa, exponentText] = value.toExponential().split("e") as [string, string];
  const exponent = Number(exponentText);
  if (value !== 0 && (exponent < -4 || exponent >= 16)) {
    const sign = exponent < 0 ? "-" : "+";
    return `${mantissa}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  if (Number.isInteger(value)) return `${Object.is(value, -0) ? "-0" : value}.0`;
  // Python and JavaScript both write the shortest digits; JavaScript has an exponent only from 1e-7 on, which is below.
  return String(value);
}

/** `ensure_ascii`: everything outside ASCII as UTF-16 escapes. */
function pythonString(value: string): string {
  const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, escaped);
}
