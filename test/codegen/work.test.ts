/** How much work compiling is: equal layers are one layer, and what grows with their number grows as it does. Counts, never milliseconds. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { UnitGraph } from "../../src/codegen/fuse/unit-graph.ts";
import { arrange, cpuTarget, defaultTarget, generate, wasmTarget } from "../../src/codegen/index.ts";
import { Builder } from "../../src/ir/builder.ts";
import { opRecord } from "../../src/ir/registry.ts";
import { printGraph } from "../../src/ir/text/print.ts";
import { type Rule, rewrite } from "../../src/passes/rewrite.ts";
import { simplifyRules } from "../../src/passes/simplify.ts";
import { noStorage } from "../runtime/executor-samples.ts";
import { benchmarkSizes, trainingProgram } from "./training-program.ts";

afterEach(() => vi.restoreAllMocks());

const layered = (layers: number) => trainingProgram({ ...benchmarkSizes, layers });

describe.each([cpuTarget, defaultTarget])("on a $kind target", (target) => {
  const countsOf = (layers: number) => {
    const { stages, storage } = layered(layers);
    const { steps } = arrange(stages, storage, target);
    const bodies = steps.flatMap((step) => step.bodies);
    const statements = steps.flatMap(({ canonicals }) => canonicals.map((canonical) => canonical.statements));
    return {
      units: bodies.length,
      lowered: new Set(bodies.map((b) => b.statements)).size,
      texts: new Set(statements).size,
    };
  };

  it("units of further layers are lowered no more", () => {
    const [three, nine] = [countsOf(3), countsOf(9)];
    expect(nine.units).toBeGreaterThan(2.5 * three.units);
    expect(nine.lowered).toBe(three.lowered);
    expect(nine.texts).toBe(three.texts);
    expect(nine.lowered).toBeLessThan(nine.units / 4);
  });
});

/** What is added up over all modules: products of a bank that they share, and a penalty of each. */
function sharedBy(modules: number) {
  const k = new Builder("shared");
  const x = k.port("x", "input", "f32", [40, 24]);
  const weights = Array.from({ length: modules }, (_unused, i) => k.port(`w${i}`, "weight", "f32", [40, 16]));
  const all = (ids: readonly number[]): number => ids.reduce((a, b) => k.plus(a, b));
  const penalties = weights.map((w) => k.add("sqrt", [k.sum(k.mul(w, w), [0, 1])]));
  const bank = all(weights.map((w) => k.einsum("tk,tn->kn", x, w)));
  const graph = k.finish([
    { name: "bank", node: bank },
    { name: "penalty", node: all(penalties) },
  ]);
  return [{ name: "forward" as const, graph }];
}

it.each([cpuTarget, defaultTarget, wasmTarget])("no kernel for a $kind target grows with the modules", (target) => {
  const kernelsOf = (modules: number) => {
    const { kernels } = generate(sharedBy(modules), noStorage, target);
    return { count: kernels.length, longest: Math.max(...kernels.map(({ wgsl }) => wgsl.length)) };
  };
  const [some, many] = [kernelsOf(60), kernelsOf(360)];
  expect(many.count).toBeLessThanOrEqual(some.count + 4);
  expect(many.longest).toBeLessThan(1.2 * some.longest);
  expect(many.longest).toBeLessThan(30_000);
});

it("units of a further program that are like earlier ones are lowered no more", () => {
  const bodies = [1, 2].map(() => {
    const { stages, storage } = layered(2);
    return arrange(stages, storage, cpuTarget).steps.flatMap((step) => step.bodies.map((body) => body.statements));
  });
  expect(bodies[1]!.every((statements, i) => statements === bodies[0]![i])).toBe(true);
});

it("kernels are printed when somebody asks for them", () => {
  const k = new Builder("rare");
  const x = k.port("x", "input", "f32", [24]);
  // Nothing else has this text.
  const chain = ["exp", "tanh", "rsqrt", "tanh", "exp", "rsqrt"].reduce((value, op) => k.add(op, [value]), x);
  const print = vi.spyOn(opRecord("rsqrt"), "wgsl");
  const stages = [{ name: "forward" as const, graph: k.finish([{ name: "y", node: chain }]) }];
  const generated = generate(stages, noStorage, cpuTarget);
  const [dispatch] = generated.plan.stages[0]!.dispatches;
  expect(generated.sourceOf(dispatch!).kind).toBe("map");
  expect(print).not.toHaveBeenCalled();
  expect(dispatch!.kernel).toMatch(/^map_[0-9a-f]{8}$/);
  expect(print).toHaveBeenCalled();
  expect(generated.kernels.map(({ name }) => name)).toEqual([dispatch!.kernel]);
});

it("types of products of further layers are inferred no more", () => {
  const infer = vi.spyOn(opRecord("einsum"), "infer");
  const sizes = { ...benchmarkSizes, width: 136 };
  trainingProgram({ ...sizes, layers: 3 });
  expect(infer).toHaveBeenCalled();
  infer.mockClear();
  trainingProgram({ ...sizes, layers: 9 });
  expect(infer).not.toHaveBeenCalled();
});

it("rules of constants are asked of candidates that have one, and leave all others as they are", () => {
  const asked = { with: 0, without: 0 };
  const counted = (rule: Rule): Rule => ({
    ...rule,
    rewrite: (candidate, rewriter) => {
      if (rule.ofConstants === true)
        asked[candidate.inputs.some((i) => rewriter.node(i).op === "constant") ? "with" : "without"]++;
      return rule.rewrite(candidate, rewriter);
    },
  });
  for (const { graph } of layered(2).stages) {
    const simplified = rewrite(graph, simplifyRules.map(counted)).graph;
    expect(asked.without).toBe(0);
    const asksAll = simplifyRules.map((rule) => ({ ...rule, ofConstants: false }));
    expect(printGraph(rewrite(graph, asksAll).graph)).toBe(printGraph(simplified));
  }
  expect(asked.with).toBeGreaterThan(0);
});

/** Layers of units, each a chain with a side path; every unit asks whether the one two layers before needs its newest. */
function visitsOf(layers: number): number {
  const units = new UnitGraph<number>();
  const made: number[] = [];
  for (let age = 0; age < 10 * layers; age++) {
    const unit = units.add(age, age);
    if (age > 0) units.depend(unit, made[age - 1]!);
    if (age > 7) units.depend(unit, made[age - 7]!);
    made.push(unit);
    expect(units.reaches(made[Math.max(0, age - 20)]!, unit)).toBe(age > 0);
    expect(units.reaches(unit, made[Math.max(0, age - 20)]!)).toBe(false);
  }
  return units.visits;
}

it("searches among units stay near what they look for", () => {
  expect(visitsOf(60)).toBeLessThan(2.1 * visitsOf(30));
});
