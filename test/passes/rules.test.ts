/** Every rule of the algebra and of the simplification on texts: what it makes, that numbers stay, and that nothing else would make it. */
import { describe, expect, it } from "vitest";
import { parseGraph } from "../../src/ir/text/parse.ts";
import { printGraph } from "../../src/ir/text/print.ts";
import { verify } from "../../src/ir/verify.ts";
import { algebraRules } from "../../src/passes/algebra.ts";
import { type Rule, rewrite } from "../../src/passes/rewrite.ts";
import { simplifyRules } from "../../src/passes/simplify.ts";
import { failedChecks, numericDifference, passFiles } from "./files.ts";

const suites = [
  { folder: "algebra", rules: algebraRules, level: "operator" },
  { folder: "simplify", rules: simplifyRules, level: "tensor" },
] as const;

const without = (rules: readonly Rule[], name: string): Rule[] => rules.filter((rule) => rule.name !== name);

describe.each(suites)("$folder", ({ folder, rules, level }) => {
  const files = passFiles(folder);

  it.each(files)("$name", (file) => {
    const graph = parseGraph(file.text, file.name);
    verify(graph, level);
    expect(parseGraph(printGraph(graph))).toEqual(graph);
    const { graph: result, hits } = rewrite(graph, rules);
    verify(result, level);
    expect(failedChecks(file, result)).toEqual([]);
    for (const rule of file.rules) expect(Object.keys(hits)).toContain(rule);
    const again = rewrite(result, rules);
    expect(printGraph(again.graph)).toBe(printGraph(result));
    for (const seed of [1, 2, 3]) expect(numericDifference(graph, result, seed)).toBeLessThan(1e-12);
  });

  it("has a file for every rule, which fails without the rule", () => {
    const named = new Set(files.flatMap((file) => file.rules));
    expect([...new Set(rules.map((rule) => rule.name))].filter((name) => !named.has(name))).toEqual([]);
    for (const file of files) {
      for (const rule of file.rules) {
        const { graph } = rewrite(parseGraph(file.text, file.name), without(rules, rule));
        expect(failedChecks(file, graph), `${file.name} without ${rule}`).not.toEqual([]);
      }
    }
  });

  it("notices a rule that changes numbers", () => {
    const [file] = files.filter(({ name }) => name === "add-negation.ir" || name === "transpose-of-product.ir");
    const wrong: Rule = {
      name: "wrong",
      ops: ["neg", "op.transpose"],
      doc: "-x -> 2x; (A B).T -> 2 (A B).T",
      rewrite: ({ op, inputs }, r) => {
        if (op === "neg") return r.scale(inputs[0]!, 2);
        const [product] = inputs;
        if (r.node(product!).op !== "op.compose") return undefined;
        const factors = [...r.node(product!).inputs].reverse().map((factor) => r.add("op.transpose", [factor]));
        return r.add("op.scale", [r.add("op.compose", factors), r.constant(2)]);
      },
    };
    const graph = parseGraph(file!.text, file!.name);
    expect(numericDifference(graph, rewrite(graph, [wrong]).graph, 1)).toBeGreaterThan(1e-3);
  });
});
