/**
 * Every code that an error, warning or note of webpeft has, with what it means and what to do. The first word of a code is the
 * room it comes from. `docs/errors.md` is written from this table; programs import its type alone, so it costs them nothing.
 */
import { compilerCodes } from "./compiler.ts";
import { configCodes } from "./configs.ts";
import { fileCodes } from "./files.ts";
import { runCodes } from "./runs.ts";

export const codes = { ...configCodes, ...fileCodes, ...runCodes, ...compilerCodes } satisfies Record<string, string>;

export type Code = keyof typeof codes;

/** What follows a prefix in the codes that have it: `CodeAfter<"IR-VERIFY">` is "ARITY" | "ATTRIBUTE" and so on. */
export type CodeAfter<Prefix extends string, Each = Code> = Each extends `${Prefix}-${infer Rest}` ? Rest : never;
