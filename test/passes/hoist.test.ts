/** A stage without what parameters alone decide: the gradients of both parts are those of the whole, for one batch and for sums over several. */
import { describe, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import { type Graph, ports } from "../../src/ir/graph.ts";
import { differentiate } from "../../src/passes/differentiate.ts";
import { hoist, splitBackward, withBackward } from "../../src/passes/hoist.ts";
import { rewrite } from "../../src/passes/rewrite.ts";
import { simplifyRules } from "../../src/passes/simplify.ts";
import { portData } from "./files.ts";

/** Rows x through Cayley's map of P, scaled by rows of norms of A B that are constants of the backward pass; A is read by the stage too. */
function stage(): Graph {
  const b = new Builder("micro");
  const port = (name: string, role: "param" | "input", ...shape: number[]) => b.port(name, role, "f32", shape);
  const [P, A, B] = [port("P", "param", 2, 6, 6), port("A", "param", 12, 10), port("B", "param", 10, 12)];
  const unused = port("unused", "param", 3);
  const x = port("x", "input", 5, 2, 6);
  const one = b.scale(b.cast(b.compare("eq", b.iota([2, 6, 6], 1), b.iota([2, 6, 6], 2)), "f32"), 7);
  const turned = b.einsum("gij,gjk->gik", b.sub(one, P), b.add("inverse", [b.plus(one, P)]));
  const product = b.einsum("ij,jk->ik", A, B);
  const norms = b.add("sqrt", [b.sum(b.mul(product, product), [1])]);
  const factor = b.div(b.sum(A, [1]), b.add("stop_gradient", [norms]));
  const y = b.mul(b.reshape(b.einsum("tgi,gio->tgo", x, turned), [5, 12]), b.broadcastTo(factor, [5, 12]));
  const z = b.einsum("ti,ir->tr", y, A);
  void unused;
  return b.finish([{ name: "loss", node: b.sum(b.mul(z, z), [0, 1]) }]);
}

function parts(whole: Graph) {
  const { main, parameters } = hoist(whole, "micro");
  const given = differentiate(main, { zeros: false });
  const params = ports(whole, "param").map(({ node }) => node);
  return { given, ...splitBackward(rewrite(withBackward(parameters, given, params), simplifyRules).graph, "micro") };
}

const numbers = (values: ReturnType<typeof evaluate>) =>
  Object.fromEntries(Object.entries(values).map(([name, { data }]) => [name, [...data]]));

describe("hoisting", () => {
  it.each([1, 3])("gives the gradients of the whole, summed over %i batches", (batches) => {
    const whole = stage();
    const { parameters, given, backward } = parts(whole);
    expect(parameters.outputs.length).toBeGreaterThan(2);
    expect(given.nodes.some(({ op }) => op === "inverse")).toBe(false);
    const sums: Record<string, number[]> = {};
    const wanted: Record<string, number[]> = {};
    const add = (to: Record<string, number[]>, made: Record<string, number[]>): void => {
      for (const [name, data] of Object.entries(made)) to[name] = data.map((value, i) => value + (to[name]?.[i] ?? 0));
    };
    const params = portData(whole, 1);
    const values = numbers(evaluate(parameters, params));
    for (let batch = 0; batch < batches; batch++) {
      const data = { ...params, x: portData(whole, 2 + batch).x! };
      add(wanted, numbers(evaluate(differentiate(whole), data)));
      add(sums, numbers(evaluate(given, { ...data, ...values })));
    }
    const made = { ...sums, ...numbers(evaluate(backward, { ...params, ...values, ...sums })) };
    for (const [name, data] of Object.entries(wanted))
      for (const [i, value] of data.entries())
        expect(made[name]![i]! / (value || 1), name).toBeCloseTo(value ? 1 : 0, 9);
    expect(Object.keys(wanted).sort()).toEqual(["grad.A", "grad.B", "grad.P", "grad.unused", "loss"]);
  });
});
