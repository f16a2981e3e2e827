/** Builtins on whole numbers and rows, and inputs of every token, by fragments on a prompt. */
import { describe, expect, it, test } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { DiagnosticSink, WebpeftError } from "../../src/ir/diagnostics.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import { compact } from "../../src/ir/graph.ts";
import { type Elaboration, elaborateModel, evaluation, parseMethod, tensorValue } from "../../src/methods/index.ts";

const [samples, length, width] = [2, 4, 3];

function elaborated(text: string): Elaboration {
  const method = parseMethod(`method m on prompt { ${text} }`);
  const site = { path: "", kind: "prompt", in: 9, out: width, fields: {}, index: 0, layout: "linear" } as const;
  return elaborateModel(method, { sites: [site], situation: evaluation, fields: {}, sink: new DiagnosticSink() });
}

/** What `rows'` gets, with roles of two rows of four tokens. */
function rows(expression: string, roles: readonly number[] = [0, 7, 4, 4, 8, 1, 4, 8]): number[] {
  const elaboration = elaborated(`input roles[length] below 9 else 2; rows' = ${expression};`);
  const b = new Builder("rows");
  const scalars = { seed: 0, step: 0, sampleOffset: 0, pass: 0, training: b.constant(1) };
  const labels = tensorValue(b.port("labels", "input", "i32", [samples, length]));
  const made = elaboration.additions(0, b, { samples, length, words: new Map([["labels", labels]]), scalars });
  const graph = compact(b.finish([{ name: "rows", node: made.get("rows")! }]));
  const data = { ...Object.fromEntries(elaboration.notes.data), roles, labels: [5, 6, 7, -100, 1, 2, 3, 4] };
  return [...evaluate(graph, data).rows!.data];
}

describe("expressions", () => {
  test.each<[string, readonly number[]]>([
    ["integers([3, 1])", [3, 1]],
    ["real(less(roles, 4))", [1, 0, 0, 0, 0, 1, 0, 0]],
    ["real(equal(mod(roles, 4), 0))", [1, 0, 1, 1, 1, 0, 1, 1]],
    ["real(both(less(0, roles), equal(mod(roles, 4), 0)))", [0, 0, 1, 1, 1, 0, 1, 1]],
    ["where(less(roles, 5), roles + 10, -1)", [10, -1, 14, 14, -1, 11, 14, -1]],
    ["where(equal(labels, -100), 0, labels - 1)", [4, 5, 6, 0, 0, 1, 2, 3]],
    [
      "where(reshape(less(roles[:, 0 : 1], 1), [samples, 1]), 1.5, 0.5 * real(roles))",
      [1.5, 1.5, 1.5, 1.5, 4, 0.5, 2, 4],
    ],
    ["each_sample(integers([1, 2]))", [1, 2, 1, 2]],
    ["distinct_larger(roles)", [2, 0, 1, 1, 0, 2, 1, 0]],
    ["powers(0.5, distinct_larger(roles))", [0.25, 1, 0.5, 0.5, 1, 0.25, 0.5, 1]],
    ["powers(0, distinct_larger(roles))", [0, 1, 0, 0, 1, 0, 0, 1]],
    ["powers(1, real(roles))", [1, 1, 1, 1, 1, 1, 1, 1]],
    ["length + 0 * real(integers([1]))", [4]],
  ])("%s", (expression, wanted) => {
    const got = rows(expression);
    expect(got).toHaveLength(wanted.length);
    for (const [i, x] of wanted.entries()) expect(got[i]).toBeCloseTo(x, 6);
  });

  it("rows_ball leaves short rows and shortens long ones", () => {
    const got = rows(
      "rows_ball(0.5 * real(roles), where(equal(integers([0, 1]), 0), 1, 100))",
      [6, 0, 0, 8, 1, 2, 0, 0],
    );
    expect(got.slice(0, 4).map((x) => Math.round(1e6 * x) / 1e6)).toEqual([0.6, 0, 0, 0.8]);
    expect(got.slice(4)).toEqual([0.5, 1, 0, 0]);
    expect(rows("rows_ball(0 * real(roles), real(integers([0, 0])))")).toEqual(new Array<number>(8).fill(0));
  });
});

describe("is refused", () => {
  const code = (make: () => unknown): string => {
    try {
      make();
      return "fine";
    } catch (error) {
      return error instanceof WebpeftError ? error.diagnostics.map((d) => d.code).join() : String(error);
    }
  };

  test.each([
    ["distinct_larger(real(roles))", "METHOD-ARGUMENT"],
    ["distinct_larger(integers([1]))", "METHOD-ARGUMENT"],
    ["powers(-1, real(roles))", "METHOD-ARGUMENT"],
    ["rows_ball(real(roles), real(integers([1])))", "METHOD-ARGUMENT"],
    ["equal(roles, 0.5)", "METHOD-TYPE"],
    ["where(less(roles, 4), integers([1, 2, 3]), 0)", "METHOD-TYPE"],
  ])("%s", (expression, wanted) => {
    expect(code(() => rows(expression))).toBe(wanted);
  });

  test.each([
    ["input a below 3;", "METHOD-DECLARATION"],
    ["input a[length] below 3 as option;", "METHOD-DECLARATION"],
    ["input a[words] below 3;", "METHOD-NAME"],
  ])("%s", (item, wanted) => {
    expect(code(() => parseMethod(`method m on prompt { ${item} rows' = real(a); }`))).toBe(wanted);
  });

  it.each([
    ["input a[length] below 0;", "METHOD-TYPE"],
    ["input a[length] below 3 else 0.5;", "METHOD-TYPE"],
  ])("%s", (item, wanted) => {
    expect(code(() => elaborated(`${item} rows' = real(a);`).inputs)).toBe(wanted);
  });

  it("the tokens of a row at a layer", () => {
    const method = parseMethod("method m on linear { input a[length] below 3; W' = sum(real(a), [0, 1]) * W; }");
    const site = { path: "q", kind: "linear", in: 2, out: 2, fields: {}, index: 0, layout: "linear" } as const;
    const elaboration = elaborateModel(method, {
      sites: [site],
      situation: evaluation,
      fields: {},
      sink: new DiagnosticSink(),
    });
    const b = new Builder("layer");
    const weight = b.dense(b.port("W", "weight", "f32", [2, 2]));
    const scalars = { seed: 0, step: 0, sampleOffset: 0, pass: 0, training: weight };
    expect(code(() => elaboration.site(0, b, { weight, base: weight, scalars, samples }))).toBe("METHOD-STATIC");
  });
});
