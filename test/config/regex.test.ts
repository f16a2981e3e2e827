import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import { compilePattern } from "../../src/methods/regex/index.ts";

const full = (pattern: string, text: string): boolean => compilePattern(pattern, "f").fullMatch(text);

describe("fullmatch as Python has it", () => {
  test.each([
    [".*lin0", "mylin0", true],
    ["lin0", "mylin0", false],
    [".*\\.(q|k)_proj", "a.q_proj", true],
    [".*\\.(q|k)_proj", "a.v_proj", false],
    ["a|ab", "ab", true],
    ["layers\\.[01]\\.q", "layers.1.q", true],
    ["layers\\.[^01]\\.q", "layers.1.q", false],
    ["layers\\.\\d+\\.q", "layers.12.q", true],
    ["(?P<name>a+)b{2}\\Z", "aabb", true],
    ["\\Aa{2,3}$", "aaaa", false],
    ["a{,2}", "aa", true],
    ["a{x}", "a{x}", true],
    ["(?i)Q_PROJ", "q_proj", true],
    ["(?i)[^Q]", "q", false],
    ["^(?!.*vision).*q$", "text.q", true],
    ["^(?!.*vision).*q$", "vision.q", false],
    [".*(?<=self_attn\\.)q", "a.self_attn.q", true],
    [".*(?<!self_attn\\.)q", "a.self_attn.q", false],
    ["\\bq\\b.*", "q.x", true],
    ["[]a]+", "]a]", true],
    ["[a-]+", "a-", true],
    ["[\\w.]*", "a_b.c", true],
    ["[^\\W]", "a", true],
    ["\\D\\S", "a-", true],
    ["(a*)*", "aaa", true],
    ["(?:a|b)*?c", "abac", true],
    ["", "", true],
    ["a\n", "a\n", true],
    [".", "\n", false],
    ["(?s).", "\n", true],
    ["\\x41\\u0042", "AB", true],
    ["(?#comment)a", "a", true],
  ])("%s on %s", (pattern, text, expected) => expect(full(pattern, text)).toBe(expected));

  test("groups are those of the first path", () => {
    expect(compilePattern(".*?\\.[^.]*\\.(\\d+)\\.", "f").match("model.layers.3.experts.7.q")?.[1]).toBe("3");
    expect(compilePattern(".*\\.(\\d+)\\.", "f").match("a.3.b.7.q")?.[1]).toBe("7");
    expect(compilePattern("(a)|(b)", "f").match("b")).toEqual([undefined, undefined, "b"]);
  });
});

test.each([
  "(",
  ")",
  "a)",
  "*a",
  "a**",
  "a++",
  "[",
  "[z-a]",
  "\\",
  "\\q",
  "(?<n>a)",
  "(a)\\1",
  "(?>a)",
  "a(?i)b",
  "a{3,2}",
])("%s is refused with a code", (pattern) => {
  expect(() => compilePattern(pattern, "target_modules")).toThrow(WebpeftError);
  expect(() => compilePattern(pattern, "target_modules")).toThrow(/target_modules cannot be used/);
});

test("sizes are limited", () => {
  expect(() => compilePattern("a".repeat(30_000), "f")).toThrow(/too long/);
  expect(() => compilePattern("((a{100}){100}){100}", "f")).toThrow(/too large/);
  expect(() => compilePattern("(".repeat(5000), "f")).toThrow(/nested/);
});

test.each(["(a+)+b", "(a|a)*b", `${".*".repeat(40)}x`, "(?=(?=(?=.*b).*b).*b)a*", "((a?){50}){20}b"])(
  "%s is answered at once on a text that makes backtracking explode",
  (pattern) => {
    const begin = performance.now();
    expect(full(pattern, "a".repeat(200))).toBe(false);
    expect(performance.now() - begin).toBeLessThan(2000);
  },
);

test("agrees with JavaScript where both languages do", () => {
  const piece = fc.constantFrom(
    "a",
    "b",
    ".",
    "a*",
    "b+?",
    "(a|b)",
    "[ab]",
    "[^a]",
    "(ab)*",
    "a?",
    "\\.",
    "(?:b|ab){1,2}",
    "^",
    "$",
  );
  const pattern = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(""));
  const text = fc.string({ unit: fc.constantFrom("a", "b", "."), maxLength: 8 });
  fc.assert(
    fc.property(pattern, text, (source, sample) => {
      expect(full(source, sample)).toBe(new RegExp(`^(?:${source})$`).test(sample));
      const mine = compilePattern(source, "f").match(sample);
      const theirs = new RegExp(source, "y").exec(sample);
      expect(mine === undefined).toBe(theirs === null);
    }),
    { numRuns: 1500 },
  );
});

test("any text is either a pattern or a coded error", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 30 }), fc.string({ maxLength: 20 }), (source, sample) => {
      try {
        full(source, sample);
      } catch (error) {
        expect(error).toBeInstanceOf(WebpeftError);
      }
    }),
    { numRuns: 1000 },
  );
});
