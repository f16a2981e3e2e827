/** Properties of passes on random graphs: rules keep numbers, derivatives are slopes. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import { compact, type Graph, type Node, portName, portRole } from "../../src/ir/graph.ts";
import type { Value } from "../../src/ir/op-record.ts";
import { verify } from "../../src/ir/verify.ts";
import { algebraRules } from "../../src/passes/algebra.ts";
import { type AssociateOptions, associate } from "../../src/passes/associate.ts";
import { differentiate } from "../../src/passes/differentiate.ts";
import { type Rule, rewrite } from "../../src/passes/rewrite.ts";
import { simplifyRules } from "../../src/passes/simplify.ts";
import { evaluateOperators } from "../ir/operator-values.ts";
import { numericDifference, portData } from "./files.ts";
import { operator, operatorGraph, tensorGraph } from "./random-graphs.ts";
import { algebraPatterns, simplifyPatterns } from "./rule-patterns.ts";

const suites = [
  { name: "algebra", rules: algebraRules, level: "operator", graphs: operatorGraph, patterns: algebraPatterns },
  { name: "simplify", rules: simplifyRules, level: "tensor", graphs: tensorGraph, patterns: simplifyPatterns },
] as const;

describe.each(suites)("$name on random graphs", ({ rules, level, graphs, patterns }) => {
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

  it("says of every node what it was before, or which rule added it", () => {
    fc.assert(
      fc.property(graphs, (graph) => {
        const before = compact(graph, true);
        const { graph: after, hits, rewrites } = rewrite(before, rules);
        const added = rewrites.flatMap((done) => done.added);
        expect(added.length).toBe(new Set(added).size);
        const kept = after.nodes.filter((_node, id) => !added.includes(id));
        expect(kept.filter(({ op, from }) => before.nodes[from![0]!]!.op !== op)).toEqual([]);
        expect(rewrites.filter(({ at, to = 0 }) => !(at < before.nodes.length && to < after.nodes.length))).toEqual([]);
        expect(rewrites.length).toBe(Object.values(hits).reduce((sum, n) => sum + n, 0));
      }),
      { seed: 31, numRuns: 300 },
    );
  });

  it("has random graphs for every rule", () => {
    expect(Object.keys(patterns).sort()).toEqual([...new Set(rules.map((rule) => rule.name))].sort());
  });

  it.each(Object.keys(patterns))("%s fires alone, on every graph that holds its pattern, and keeps numbers", (name) => {
    const alone = rules.filter((rule) => rule.name === name);
    fc.assert(
      fc.property(patterns[name]!, (graph) => {
        verify(graph, level);
        const { graph: result, hits } = rewrite(graph, alone);
        expect(Object.keys(hits)).toEqual([name]);
        verify(result, level);
        expect(numericDifference(graph, result, 6)).toBeLessThan(1e-10);
      }),
      { seed: 30, numRuns: 60 },
    );
  });
});

const gapTo = (want: Value, got: Value): number => {
  const largest = Math.max(1, ...Array.from(want.data, Math.abs));
  return Math.max(...Array.from(want.data, (x, i) => Math.abs(got.data[i]! - x) / largest));
};

describe("associate on random operators", () => {
  const numbersStay = (graph: Graph, before: (graph: Graph) => Graph, options: AssociateOptions): void => {
    const data = portData(graph, 7);
    const want = evaluateOperators(graph, data);
    const lowered = associate(before(graph), options).graph;
    verify(lowered, "tensor");
    const got = evaluate(lowered, data);
    for (const [name, value] of Object.entries(want)) expect(gapTo(value, got[name]!), name).toBeLessThan(1e-10);
  };

  it.each<[string, (graph: Graph) => Graph]>([
    ["in normal form", (graph) => rewrite(graph, algebraRules).graph],
    ["that have not been through the algebra", (graph) => graph],
  ])("has the numbers of plain matrices, for graphs %s", (_name, before) => {
    for (const options of [{ train: true }, { train: false }, { train: false, fold: false }]) {
      fc.assert(
        fc.property(operatorGraph, (graph) => numbersStay(graph, before, options)),
        { seed: 31, numRuns: 300 },
      );
    }
  });

  it("has the row norms of plain matrices, where terms do not cancel", () => {
    const norms = operator.map((make) => {
      const b = new Builder("main");
      return b.finish([{ name: "norm", node: b.add("op.row_norm", [make(b)]) }]);
    });
    let compared = 0;
    fc.assert(
      fc.property(norms, (graph) => {
        const data = portData(graph, 9);
        const want = evaluateOperators(graph, data).norm!;
        const got = evaluate(associate(graph, { train: false }).graph, data).norm!;
        if (want.data.some((norm) => norm < 0.01)) return;
        compared++;
        expect(gapTo(want, got)).toBeLessThan(1e-8);
      }),
      { seed: 34, numRuns: 300 },
    );
    expect(compared).toBeGreaterThan(150);
  });

  it("runs every product factor by factor when nothing may be folded", () => {
    const options = { train: false, fold: false };
    fc.assert(
      fc.property(operatorGraph, (graph) => {
        const { notes } = associate(rewrite(graph, algebraRules).graph, options);
        expect(notes.map((note) => note.decision).filter((decision) => decision !== "activation")).toEqual([]);
      }),
      { seed: 35, numRuns: 100 },
    );
  });
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
