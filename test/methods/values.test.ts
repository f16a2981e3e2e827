import { describe, expect, test } from "vitest";
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import type { FieldValue } from "../../src/methods/fields.ts";
import { type Method, parseMethod } from "../../src/methods/index.ts";
import { type ToyOptions, toy } from "./helpers.ts";

/** The error of an elaboration, or `fine`. */
function fault(m: Method, fields: Record<string, FieldValue> = {}, options: ToyOptions = {}): WebpeftError | "fine" {
  try {
    toy(m, fields, options);
    return "fine";
  } catch (error) {
    if (error instanceof WebpeftError) return error;
    throw error;
  }
}

/** A method on linear whose W' has the value of an expression of numbers in every entry of one parameter. */
function number(expression: string, fields: Record<string, FieldValue> = {}): number {
  const m = parseMethod(`method m on linear {
  config a: int = 7, b: float = 2.5, c: bool = true, t: string = "text", l: int_list = [4, 5], n: any? = null;
  param p[out] = zeros at "p";
  W' = (${expression}) * W;
}`);
  const t = toy(m, fields);
  return t.weight()[0]![0]! / t.W[0]![0]!;
}

describe("known values", () => {
  test.each([
    ["1 + 2 * 3 - 4 / 8", 6.5],
    ["-(a - 10) * b", 7.5],
    ["2 - 3 - 4", -5],
    ["c ? 1 : 2", 1],
    ["not c or a > 7 ? 1 : 2", 2],
    ["a >= 7 and a <= 7 and a == 7 and not (a != 7) and not (a < 7) ? 1 : 2", 1],
    ['n == null and t == "text" and t + "s" == "texts" ? 1 : 2', 1],
    ["l[1] + l[0]", 9],
    ["largest(l) + 10 * count(repeated(4, 3)) + 100 * repeated(4, 3)[2]", 435],
    ["sqrt(16) + log2(8) + power(2, 5)", 39],
    ["min(4, 2, 3) + max(1, 9) + floor(2.7) + ceil(2.1)", 16],
    ["divisor_near(24, 7) + 100 * divisor_near(24, 9) + 10000 * divisor_near(10, 3)", 20806],
    ["divides(3, 12) and not divides(5, 12) and not divides(0, 12) ? 1 : 2", 1],
    ["in + 100 * out + 10000 * site.index + sites.count", 813],
    ["present(a) ? 1 : 2", 1],
    [
      'version_before("0.17.9", "0.18.0") and not version_before("0.18.0.dev0", "0.18.0") and version_before(null, "0.1") ? 1 : 2',
      1,
    ],
    [
      'site.matches(["q_proj"]) and not site.matches(["proj"]) and site.ends_with(["proj"]) and site.ends_with(".*q_proj") ? 1 : 2',
      1,
    ],
  ])("%s", (expression, wanted) => {
    expect(number(expression)).toBeCloseTo(wanted, 10);
  });

  test("only the chosen side is worked out", () => {
    expect(number("c ? 1 : sqrt(-1)")).toBe(1);
    expect(number("c or sqrt(-1) > 0 ? 1 : 2")).toBe(1);
  });

  test.each([
    ["1 / (a - 7)", "METHOD-TYPE"],
    ["sqrt(-1)", "METHOD-ARGUMENT"],
    ["sqrt(t)", "METHOD-ARGUMENT"],
    ["sqrt()", "METHOD-ARGUMENT"],
    ["sqrt(1, 2)", "METHOD-ARGUMENT"],
    ["sqrt(x: 1, x: 2)", "METHOD-ARGUMENT"],
    ["sqrt(y: 1)", "METHOD-ARGUMENT"],
    ["a ? 1 : 2", "METHOD-TYPE"],
    ["t * 2", "METHOD-TYPE"],
    ["l[2]", "METHOD-TYPE"],
    ["divisor_near(in, 0)", "METHOD-ARGUMENT"],
    ["p * p", "METHOD-TYPE"],
    ["prod(i: 0..2000, W)", "METHOD-LIMIT"],
    ["prod(i: 0..0, W)", "METHOD-ARGUMENT"],
    ["W.X", "METHOD-NAME"],
    ["p.T", "METHOD-NAME"],
    ["p[0, 0]", "METHOD-SHAPE"],
    ["p[100]", "METHOD-SHAPE"],
    ["reshape(p, [3])", "METHOD-TYPE"],
    ["diag(W)", "METHOD-ARGUMENT"],
    ["zeros", "METHOD-TYPE"],
  ])("%s is refused: %s", (expression, code) => {
    expect(() => number(expression)).toThrowError(
      expect.objectContaining({ code, where: expect.stringMatching(/^method:4/) }),
    );
  });

  test("a message names the function, the argument and the signature", () => {
    const error = fault(parseMethod("method m on linear { W' = W @ dropout(2); }", "m.ts")) as WebpeftError;
    expect({ ...error.diagnostics[0] }).toMatchInlineSnapshot(`
      {
        "code": "METHOD-ARGUMENT",
        "expected": "0 <= p < 1",
        "got": "2",
        "help": "dropout(p, size = null): In training: a diagonal that is 0 with probability p, else 1 / (1 - p), drawn for every token; else the identity. Its size is the site's input unless given.",
        "message": "dropout: A dropout probability lies in [0, 1).",
        "severity": "error",
        "where": "m.ts:1:31 at model.layers.0.self_attn.q_proj",
      }
    `);
    const missing = fault(
      parseMethod("method m on linear {\n  let k = divisor_near(in);\n  W' = k * W;\n}", "m.ts"),
    ) as WebpeftError;
    expect({ ...missing.diagnostics[0] }).toMatchInlineSnapshot(`
      {
        "code": "METHOD-ARGUMENT",
        "expected": "a known whole number above 0",
        "help": "divisor_near(n, wanted): The divisor of n nearest to wanted; the lower one on a tie.",
        "message": "divisor_near: argument wanted is missing.",
        "severity": "error",
        "where": "m.ts:2:11 at model.layers.0.self_attn.q_proj",
      }
    `);
  });

  test("shapes and conditions must be known; definitions must end", () => {
    const code = (body: string) => (fault(parseMethod(`method m on linear { ${body} }`)) as WebpeftError).code;
    expect(code('param a[in / 5] = zeros at "a"; W\' = W @ diag(a);')).toBe("METHOD-SHAPE");
    expect(code('param a[in] = zeros at "a"; param b[size(a, 0)] = zeros at "b"; W\' = W @ diag(b);')).toBe(
      "METHOD-STATIC",
    );
    expect(code("let a = b, b = a; W' = a * W;")).toBe("METHOD-CYCLE");
    expect(code('shared a[in] = zeros at "a"; W\' = W @ diag(a);')).toBe("METHOD-STATIC");
    expect(code("W' = W @ W;")).toBe("METHOD-TYPE");
    expect(code("W' = W.T;")).toBe("METHOD-TYPE");
    expect(code("b' = 2 .* b[:3];")).toBe("METHOD-TYPE");
    expect(code('param a[in] = zeros at "a" when in > 100; W\' = W @ diag(a);')).toBe("METHOD-NAME");
  });
});

test("a vector of one element makes a diagonal of one", () => {
  const m = parseMethod(`method m on linear {
  param p[1] = zeros at "p"; param a[1, in] = zeros at "a"; param c[out, 1] = zeros at "c";
  W' = c @ diag(p) @ a;
}`);
  const t = toy(m);
  const [p, a, c] = [t.values("p")[0]!, t.values("a"), t.values("c")];
  expect(t.weight()[2]![3]!).toBeCloseTo(c[2]! * p * a[3]!, 12);
});

test("a tensor that no device takes is refused with its shape", () => {
  const m = parseMethod('method m on linear { param p[out, 4294967296] = zeros at "p"; W\' = W; }');
  const { code, got } = fault(m) as WebpeftError;
  expect({ code, got }).toEqual({ code: "METHOD-SIZE", got: "[8, 4294967296]" });
});
