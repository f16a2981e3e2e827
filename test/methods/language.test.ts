import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatDiagnostic, WebpeftError } from "../../src/ir/diagnostics.ts";
import { peftTypes } from "../../src/methods/config/common.ts";
import { editDistance } from "../../src/methods/dsl/suggest.ts";
import { methods, parseMethod } from "../../src/methods/index.ts";

/** What a terminal would show for a fragment; `fine` when nothing is wrong. */
function faults(source: string): string {
  try {
    parseMethod(source, "m.ts");
    return "fine";
  } catch (error) {
    if (!(error instanceof WebpeftError)) throw error;
    return error.diagnostics.map(formatDiagnostic).join("\n");
  }
}

describe("syntax", () => {
  test("all errors of a text at once, each with its place", () => {
    expect(
      faults(`method lora on linear {
  config r: int = 8
  parm A[r, in] = zeros at "x";
  let s = ;
  let t = 1 + * 2;
  W' = W + s * B @ A # 3;
  X = 3;
  require a "x";
`),
    ).toMatchInlineSnapshot(`
      "error METHOD-SYNTAX: The fragment does not read as a list of config fields.
        where:    m.ts:3:3
        expected: ";"
        got:      "parm"
        help:     every statement ends with a semicolon; did you mean param?
      error METHOD-SYNTAX: The fragment does not read as an expression.
        where:    m.ts:4:11
        expected: an expression
        got:      ";"
      error METHOD-SYNTAX: The fragment does not read as an expression.
        where:    m.ts:5:15
        expected: an expression
        got:      "*"
      error METHOD-SYNTAX: This character has no meaning in a fragment.
        where:    m.ts:6:22
        got:      "#"
        help:     comments begin with //
      error METHOD-SYNTAX: The fragment does not read as the body of a block.
        where:    m.ts:7:3
        expected: "}"
        got:      "X"
        help:     a name is given a value by let, param or const
      error METHOD-SYNTAX: The fragment does not read as a require.
        where:    m.ts:8:13
        expected: "else" or "warn" or "save"
        got:      "\\"x\\"""
    `);
  });

  test.each([
    [""],
    ["hello"],
    ["method x on linear { W' = (1; }"],
    ["method x on linear { W' = W; } }"],
    ["method x on linear { config a: int; let 'b = 1; }"],
    ["method x on linear { W' = W; let name = \"open; }"],
    ['method x on linear { parm a[2] = zeros at "a"; W\' = W; }'],
    ["method x on linear { W' = W"],
  ])("%s", (source) => {
    expect(faults(source)).toMatchSnapshot();
  });

  test("comments, texts with escapes, maps, lists and ranges", () => {
    const source = `method x on linear { // a comment
  /* another
     one */
  config a: int_map = { "x": 1, "y": -2 }, l: int_list = [1, 2], t: string = "a \\"b\\" \\\\ c", n: float = -1.5e-3 (minimum: -1);
  W' = prod(i: 0..2, W) + 1.*W;
}`;
    const fields = Object.fromEntries(parseMethod(source).fields.map((f) => [f.name, f]));
    expect(fields.a!.default).toEqual({ x: 1, y: -2 });
    expect(fields.l!.default).toEqual([1, 2]);
    expect(fields.t!.default).toBe('a "b" \\ c');
    expect(fields.n).toMatchObject({ default: -0.0015, minimum: -1, nullable: false });
  });
});

describe("names and declarations", () => {
  test("all faults at once, with suggestions", () => {
    expect(
      faults(`method x on linear {
  config rank: integer = 8 (minimun: 1);
  param A[rnk, in] = kaiming_unifrm(1) at "a";
  param A[rank, in] = zeros;
  const c[2] = zeros at "c";
  require rank > 0 else "rank is {rnak}";
  let s = sites.max.inn;
  V' = W;
}`),
    ).toMatchInlineSnapshot(`
      "error METHOD-NAME: There is no type integer.
        where:    m.ts:2:10
        help:     known are int, float, bool, string, int_list, string_list, int_map, float_map, bool_list_map, any
      error METHOD-NAME: There is no option minimun.
        where:    m.ts:2:29
        help:     did you mean minimum?
      error METHOD-NAME: Nothing is called rnk here.
        where:    m.ts:3:11
        help:     did you mean rank?
      error METHOD-NAME: No function is called kaiming_unifrm.
        where:    m.ts:3:22
        help:     did you mean kaiming_uniform?
      error METHOD-DECLARATION: The param A has no key in the adapter file.
        where:    m.ts:4:9
        help:     add at "key"
      error METHOD-DECLARATION: A is declared twice, first in line 3.
        where:    m.ts:4:9
      error METHOD-NAME: Nothing is called rnak here.
        where:    m.ts:6:3
        help:     did you mean rank?
      error METHOD-NAME: Nothing is called sites.max.inn here.
        where:    m.ts:7:20
        help:     did you mean sites.max.in?
      error METHOD-NAME: There is no target V.
        where:    m.ts:8:3
        help:     known are W, b, loss"
    `);
  });

  test.each([
    ["method x { config a: int = 1; }"],
    ["method x on lineer { W' = W; }"],
    ["method x { on linear { let a = 1; } }"],
    ['method x on linear { shared a[2] = zeros at "k" project f(1); W\' = W; }'],
    ['method x on linear { param a[2] = zeros at "k"; param b[2] = zeros at "k"; W\' = diag(a) @ W @ diag(b); }'],
    ["method x on linear { W' = W; on linear { on linear { W' = W; } W' = W; } }"],
  ])("%s", (source) => {
    expect(faults(source)).toMatchSnapshot();
  });

  test("blocks for several kinds of sites", () => {
    const method = parseMethod(`method x {
  param a[in] = ones at "a";
  on linear { W' = W @ diag(a); }
  on embedding { W' = W @ diag(a); }
}`);
    expect(method.siteKinds).toEqual(["linear", "embedding"]);
  });
});

describe("hostile texts", () => {
  const limit = /METHOD-LIMIT|METHOD-SYNTAX/;

  test.each([
    ["long", "x".repeat(70_000)],
    ["many words", "a ".repeat(30_000)],
    ["brackets", `method x on linear { W' = ${"(".repeat(5000)}W${")".repeat(5000)}; }`],
    ["signs", `method x on linear { W' = ${"-".repeat(5000)}W; }`],
    ["nots", `method x on linear { let a = ${"not ".repeat(5000)}true; W' = W; }`],
    ["choices", `method x on linear { let a = ${"true ? 1 : ".repeat(3000)}1; W' = W; }`],
    ["sum", `method x on linear { W' = W${" + W".repeat(5000)}; }`],
    ["transposes", `method x on linear { W' = W${".T".repeat(5000)}; }`],
    ["comment", `method x on linear { /*${"*".repeat(60_000)}`],
    ["text", `method x on linear { let a = "${"\\\\".repeat(30_000)}`],
  ])("%s is refused at once", (_name, source) => {
    const start = performance.now();
    expect(faults(source)).toMatch(limit);
    expect(performance.now() - start).toBeLessThan(2000);
  });

  test("any text is read or refused, never anything else", () => {
    const words = [
      "method",
      "x",
      "on",
      "linear",
      "{",
      "}",
      "W'",
      "=",
      "W",
      ";",
      "param",
      "[",
      "]",
      "(",
      ")",
      "at",
      '"k"',
      "let",
      "?",
      ":",
      "..",
      ".",
      "prod",
      "1",
      ",",
      "config",
      "@",
      "not",
      "-",
    ];
    const text = fc.array(
      fc.oneof({ weight: 20, arbitrary: fc.constantFrom(...words) }, { weight: 1, arbitrary: fc.string() }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(text, (parts) => {
        const shown = faults(`method x on linear { ${parts.join(" ")}`);
        expect(shown).toMatch(/^(fine|error METHOD-)/);
      }),
      { numRuns: 60, seed: 1 },
    );
  });
});

describe("the methods that are built in", () => {
  test("each is called as it calls itself, and is a type of PEFT", () => {
    for (const method of methods.values()) expect(method.ast.name).toBe(method.name);
    expect([...methods.keys()].filter((type) => !peftTypes.includes(type))).toEqual([]);
  });

  test("each is a screen at most, and its formulas are few", () => {
    const all = [...methods.values()];
    const long = all.filter(({ source }) => source.split("\n").length > 60);
    expect(long.map(({ name }) => name)).toEqual([]);
    const lines = all.map(({ formulaLines }) => formulaLines.length);
    expect(lines.reduce((a, b) => a + b, 0) / lines.length).toBeLessThan(15);
  });

  test("defaults that PEFT and the seed have different", () => {
    const defaults = (name: string, field: string) => methods.get(name)!.fields.find((f) => f.name === field);
    expect(defaults("OFT", "r")).toMatchObject({ type: "int", default: 0, seedDefault: 8 });
    expect(defaults("OFT", "oft_block_size")).toMatchObject({ default: 32, seedDefault: 0 });
    expect(defaults("FOURIERFT", "scaling")).toMatchObject({ type: "float", default: 150, seedDefault: 300 });
    expect(defaults("LORA", "r")).toMatchObject({ default: 8, exclusiveMinimum: 0 });
    expect(methods.get("LORA")!.patterns).toEqual(
      new Map([
        ["r", "rank_pattern"],
        ["lora_alpha", "alpha_pattern"],
      ]),
    );
  });

  test("OFT: a size that is given settles the other in a config written by hand", () => {
    const oft = methods.get("OFT")!;
    const settle = (fields: Record<string, number | string>) =>
      oft.settle({ r: 8, oft_block_size: 0, ...fields }, new Set(Object.keys(fields)));
    expect(settle({})).toEqual({ r: 8, oft_block_size: 0 });
    expect(settle({ oft_block_size: 16 })).toEqual({ r: 0 });
    expect(settle({ r: 4 })).toEqual({ oft_block_size: 0 });
    expect(settle({ r: 4, oft_block_size: 16 })).toEqual({});
    expect(settle({ r: 4, peft_version: "0.21.2" })).toEqual({});
  });
});

test("edit distance", () => {
  expect(editDistance("parm", "param")).toBe(1);
  expect(editDistance("minimun", "minimum")).toBe(1);
  expect(editDistance("ab", "ba")).toBe(1);
  expect(editDistance("", "abc")).toBe(3);
});
