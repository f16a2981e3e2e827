/**
 * Options as callers give them, checked by name and value before anything runs: a misspelt name, which would have no effect, and a value of
 * another kind are errors.
 */
import type { Code } from "../ir/codes/index.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import { largestFloat32 } from "../ir/types.ts";
import { hint } from "../methods/dsl/suggest.ts";

/** What was expected in words, where a value is something else; undefined where it is right. */
export type Check = (value: unknown) => string | undefined;

/** A check for every option of a kind, so that none can be forgotten. */
export type Checks<T> = { readonly [Name in keyof T]-?: Check };

const when =
  (isRight: (value: unknown) => boolean, expected: string): Check =>
  (value) =>
    isRight(value) ? undefined : expected;

export const anything: Check = () => undefined;
export const flag = when((x) => typeof x === "boolean", "true or false");
export const text = when((x) => typeof x === "string", "text");
export const callable = when((x) => typeof x === "function", "a function");
export const record = when((x) => typeof x === "object" && x !== null, "an object");
export const list = when(Array.isArray, "an array");
/** A number that f32 can hold: a larger one would be infinite on the device. */
export const amount = when(
  (x) => typeof x === "number" && x >= 0 && x <= largestFloat32,
  "a finite number, 0 or above, that f32 can hold",
);
export const count = when((x) => Number.isSafeInteger(x) && (x as number) > 0, "a whole number above 0");
export const whole = when((x) => Number.isSafeInteger(x) && (x as number) >= 0, "a whole number, 0 or above");
export const seed = when(
  (x) => Number.isInteger(x) && (x as number) >= 0 && (x as number) < 2 ** 32,
  "a whole number from 0 to 4294967295",
);
export const signal = when((x) => typeof x === "object" && x !== null && "aborted" in x, "an AbortSignal");
export const oneOf = (names: readonly string[]): Check => when((x) => names.includes(x as string), names.join(", "));

/** A value in a few words. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return typeof value === "function" ? "a function" : String(value);
}

/** Throws an error of the code for what is no object, for the first name that is unknown, and for the first value of another kind. */
export function checkOptions<T extends object>(given: T, checks: Checks<T>, code: Code): void {
  const known = Object.keys(checks);
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new WebpeftError(code, {
      message: "options are given by their names",
      expected: `an object with ${known.join(", ")}`,
      got: shown(given),
    });
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (!Object.hasOwn(checks, name)) throw unknownName("option", name, known, code);
    const expected = checks[name as keyof T](value);
    if (expected !== undefined)
      throw new WebpeftError(code, {
        message: `the option ${name} has a value that it cannot have`,
        where: name,
        expected,
        got: shown(value),
      });
  }
}

/** The error for a name that nothing reads. `what`: what it would be, in a word. */
export function unknownName(what: string, name: string, known: readonly string[], code: Code): WebpeftError {
  const help = hint(name, known);
  return new WebpeftError(code, {
    message: `there is no ${what} ${name.length > 60 ? `${name.slice(0, 60)}...` : name}`,
    where: name,
    expected: known.join(", ") || "none",
    ...(help === undefined ? {} : { help }),
  });
}
