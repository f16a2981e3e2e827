/** One word for what is known, for lists, for numbers of the host and for tensors; former words are read as today's. */
import { describe, expect, it } from "vitest";
import type { ValueItem } from "../../src/methods/dsl/ast.ts";
import { parseMethod } from "../../src/methods/index.ts";
import { made } from "../docs/language-page.ts";

/** What a let holds, without places and numbers of calls. */
function tree(expression: string): unknown {
  const { ast } = parseMethod(`method m on linear { param A[2, 2] = zeros at "a"; let x = ${expression}; W' = W; }`);
  const found = ast.items.find((item): item is ValueItem => item.kind === "let")!.value;
  return JSON.parse(JSON.stringify(found, (key, value) => (key === "at" || key === "ordinal" ? undefined : value)));
}

describe("former words", () => {
  it.each([
    ["root(A)", "sqrt(A)"],
    ["ln(2)", "log(2)"],
    ["at_least(A, 0)", "max(A, 0)"],
    ["largest([1, 2])", "max([1, 2])"],
    ["powers(2, A)", "power(2, A)"],
    ["count([1, 2])", "size([1, 2])"],
    ["remainder(A, 2)", "mod(A, 2)"],
    ["quotient(A, 2)", "floor(A / 2)"],
    ["less(A, 0)", "A < 0"],
    ["equal(A, 0)", "A == 0"],
    ["both(A < 0, A < 1)", "A < 0 and A < 1"],
    ["where(A < 0, 1, A)", "A < 0 ? 1 : A"],
  ])("%s is %s", (former, today) => {
    expect(tree(former)).toEqual(tree(today));
  });
});

describe("one word", () => {
  it.each([
    ["sqrt(4)", "2"],
    ["sqrt([4, 9])", "[2,3]"],
    ["sqrt(places)", "3 numbers of the host"],
    ["sqrt(A)", "f32[2,6]"],
    ["sqrt(W)", "f32[4,6]"],
    ["floor(places / 2)", "3 numbers of the host"],
    ["[1, 2] + 1", "[2,3]"],
    ["v[0 : 2] .* tokens", "f32[2]"],
    ["max(tokens)", "3"],
    ["max(A, 0)", "f32[2,6]"],
    ["max([])", "0"],
    ["size(tokens)", "2"],
    ["size(A, 0)", "2"],
    ["power(2, 3)", "8"],
    ["power(A, 2)", "f32[2,6]"],
    ["sum(A)", "f32[]"],
    ["A > 0 ? A : 0", "f32[2,6]"],
    ["not (A > 0) or A < 1", "bool[2,6]"],
    ["r == 2 or A < 1", "true"],
    ["reshape(W, [24])", "f32[24]"],
    ["gelu(W0 @ A.T) @ A", "op[4,6]"],
  ])("%s is %s", (expression, expected) => {
    expect(made(expression)).toBe(expected);
  });
});
