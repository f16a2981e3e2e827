/** Properties of passes on random graphs: rules keep numbers, derivatives are slopes. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { evaluate } from "../../src/ir/evaluate.ts";
import { type Graph, type Node, portName, portRole } from "../../src/ir/graph.ts";
import { verify } from "../../src/ir/verify.ts";
import { algebraRules } from "../../src/passes/algebra.ts";
import { associate } from "../../src/passes/associate.ts";
import { differentiate } from "../../src/passes/differentiate.ts";
import { type Rule, rewrite } from "../../src/passes/rewrite.ts";
import { simplifyRules } from "../../src/passes/simplify.ts";
import { evaluateOperators } from "./dense-oracle.ts";
import { numericDifference, portData } from "./files.ts";
import { operatorGraph, tensorGraph } from "./random-graphs.ts";

const suites = [
  { name: "algebra", rules: algebraRules, level: "operator", graphs: operatorGraph },
  { name: "simplify", rules: simplifyRules, level: "tensor", graphs: tensorGraph },
] as const;

describe.each(suites)("$name on random graphs", ({ rules, level, graphs }) => {
  it("keeps numbers, is sound, and every rule takes part", () => {
    const hit = new Set<string>();
    fc.assert(
      fc.property(graphs, (graph) => {
        const { graph: result, hits } = rewrite(graph, rules);
        for (const name of Object.keys(hits)) hit.add(name);
        verify(result, level);
        expect(numericDifference(graph, result, 5)).toBeLessThan(1e-10);
      }),
      { seed: 29, numRuns: 1500 },
    );
    expect(rules.map((rule) => rule.name).filter((name) => !hit.has(name))).toEqual([]);
  });

  it("keeps numbers under each rule alone", () => {
    const byName = new Map<string, Rule[]>();
    for (const rule of rules) byName.set(rule.name, [...(byName.get(rule.name) ?? []), rule]);
    for (const [name, alone] of byName) {
      fc.assert(
        fc.property(graphs, (graph) => {
          const { graph: result, hits } = rewrite(graph, alone);
          if (Object.keys(hits).length === 0) return;
          expect(numericDifference(graph, result, 6), name).toBeLessThan(1e-10);
        }),
        { seed: 30, numRuns: 60 },
      );
    }
  });
});

it("associate has the numbers of plain matrices on random operators", () => {
  fc.assert(
    fc.property(operatorGraph, (graph) => {
      const normal = rewrite(graph, algebraRules).graph;
      const data = portData(graph, 7);
      const want = evaluateOperators(graph, data);
      const got = evaluate(associate(normal, { train: true }).graph, data);
      for (const [name, { data: numbers }] of Object.entries(want)) {
        const largest = Math.max(1, ...Array.from(numbers, Math.abs));
        numbers.forEach((value, i) => {
          expect(Math.abs(got[name]!.data[i]! - value) / largest).toBeLessThan(1e-10);
        });
      }
    }),
    { seed: 31, numRuns: 300 },
  );
});

/** Ops with a kink (or that cut gradients) have no slope to compare everywhere. */
const smooth = (graph: Graph): boolean =>
  !graph.nodes.some(({ op }) => ["abs", "maximum", "minimum", "stop_gradient"].includes(op));

/** The slope of the loss along one entry of a parameter. */
function slope(graph: Graph, data: Record<string, number[]>, port: string, at: number): number {
  const h = 1e-5;
  const loss = (by: number): number => {
    const moved = data[port]!.map((x, i) => (i === at ? x + by : x));
    return evaluate(graph, { ...data, [port]: moved }).loss!.data[0]!;
  };
  return (loss(h) - loss(-h)) / (2 * h);
}

const largestGradientError = (graph: Graph, derived: Graph, seed: number): number => {
  const data = portData(graph, seed);
  const gradients = evaluate(derived, data);
  const isParam = (node: Node): boolean => node.op === "port" && portRole(node) === "param";
  const errors = graph.nodes.filter(isParam).flatMap((node) => {
    const name = portName(node);
    return data[name]!.map((_x, i) => Math.abs(slope(graph, data, name, i) - gradients[`grad.${name}`]!.data[i]!));
  });
  return errors.some(Number.isNaN) ? Number.POSITIVE_INFINITY : Math.max(0, ...errors);
};

it("gradients of random graphs are slopes, before and after simplification", () => {
  let compared = 0;
  fc.assert(
    fc.property(tensorGraph.filter(smooth), (graph) => {
      const derived = differentiate(graph);
      verify(derived, "tensor");
      expect(largestGradientError(graph, derived, 8)).toBeLessThan(1e-7);
      expect(largestGradientError(graph, rewrite(derived, simplifyRules).graph, 8)).toBeLessThan(1e-7);
      compared++;
    }),
    { seed: 32, numRuns: 150 },
  );
  expect(compared).toBe(150);
});

it("notices a gradient that is wrong", () => {
  const graph = fc.sample(tensorGraph.filter(smooth), { seed: 33, numRuns: 40 });
  const wrong: Rule = { name: "wrong", ops: ["neg"], doc: "-x -> x", rewrite: ({ inputs }) => inputs[0] };
  const errors = graph.map((one) => largestGradientError(one, rewrite(differentiate(one), [wrong]).graph, 8));
  expect(Math.max(...errors)).toBeGreaterThan(1e-3);
});
