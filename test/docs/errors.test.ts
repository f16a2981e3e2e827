/** Codes: each is used, those that comments and pages name exist, and `docs/errors.md` has them all. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { type Code, codes } from "../../src/ir/codes/index.ts";
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import { errorsPage } from "./errors-page.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const texts = (folder: string, ending: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending) && !name.startsWith("ir/codes/"))
    .map((name) => readFileSync(join(root, folder, name), "utf8"));
const sources = texts("src", ".ts").join("\n");
const all = Object.keys(codes) as Code[];

it("docs/errors.md is what the table says", async () => {
  await expect(errorsPage()).toMatchFileSnapshot(join(root, "docs", "errors.md"));
});

it("no code is without use", () => {
  /** Reports of the verifiers and of the text's reader name what follows their prefix. */
  const isReported = (code: Code): boolean => {
    const rest = code.replace(/^(IR-VERIFY|IR-TEXT|KERNEL-VERIFY)-/, "");
    return new RegExp(`\\b(?:report\\(|require\\([^;]*,)\\s*"${rest}"`).test(sources);
  };
  expect(all.filter((code) => !sources.includes(`"${code}"`) && !isReported(code))).toEqual([]);
});

it("codes that comments and pages name exist", () => {
  const rooms = [...new Set(all.map((code) => code.split("-")[0]))].join("|");
  const pattern = new RegExp(`(?<![\\w-])(?:${rooms})(?:-[A-Z0-9]+)+(?![\\w-]|\\*)`, "g");
  const prefixes = ["IR-VERIFY", "IR-TEXT", "KERNEL-VERIFY"];
  const named = [sources, ...texts("docs", ".md")].flatMap((text) => text.match(pattern) ?? []);
  expect([...new Set(named)].filter((code) => ![...all, ...prefixes].includes(code))).toEqual([]);
});

it("each says in whole sentences what it means", () => {
  const wrong = Object.entries(codes).filter(([, text]) => !/^[A-Z`"].*[.]$/.test(text) || text.length < 30);
  expect(wrong).toEqual([]);
});

it("a misspelt code does not compile, and a code is a text", () => {
  // @ts-expect-error no such code
  const error = new WebpeftError("CONFIG-FEILD-RANGE", { message: "x" });
  const text: string = error.code;
  expect(text).toBe("CONFIG-FEILD-RANGE");
});
