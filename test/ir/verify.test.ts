import { describe, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import type { Graph, Node } from "../../src/ir/graph.ts";
import { f32, operatorType, tensor } from "../../src/ir/types.ts";
import { type GraphLevel, verify, violations } from "../../src/ir/verify.ts";

/** Nodes: 0 port x, 1 port w (param), 2 einsum, 3 sum. */
function sound(): Graph {
  const builder = new Builder("sound");
  const x = builder.port("x", "input", "f32", [4, 3]);
  const w = builder.port("w", "param", "f32", [2, 3]);
  const y = builder.within({ scope: "layer", location: { file: "m.ts", line: 2 }, from: [0] }, () =>
    builder.einsum("nk,mk->nm", x, w),
  );
  return builder.finish([
    { name: "y", node: y },
    { name: "total", node: builder.sum(y, [0, 1]) },
  ]);
}

const change = (at: number, fields: { [K in keyof Node]?: unknown }): Graph => ({
  ...sound(),
  nodes: sound().nodes.map((node, i) => (i === at ? ({ ...node, ...fields } as Node) : node)),
});
const attributes = (at: number, fields: Record<string, unknown>): Graph =>
  change(at, { attributes: { ...sound().nodes[at]!.attributes, ...fields } });
const outputs = (...list: readonly [string, number][]): Graph => ({
  ...sound(),
  outputs: list.map(([name, node]) => ({ name, node })),
});

function withOperator(): Graph {
  const builder = new Builder("operators");
  const w = builder.port("w", "param", "f32", [2, 3]);
  const x = builder.port("x", "input", "f32", [4, 3]);
  return builder.finish([{ name: "y", node: builder.apply(builder.dense(w), x) }]);
}

/** Every invariant of the header with graphs that break it, and it alone. */
const broken: readonly (readonly [string, string, Graph, GraphLevel?])[] = [
  ["INPUT", "a later node", change(2, { inputs: [0, 3] })],
  ["INPUT", "itself", change(3, { inputs: [3] })],
  ["INPUT", "no node", change(3, { inputs: [-1] })],
  ["INPUT", "no integer", change(3, { inputs: [0.5] })],
  ["OP", "unknown", change(3, { op: "summe" })],
  ["ARITY", "too few", change(2, { inputs: [0] })],
  ["ARITY", "too many", change(3, { inputs: [2, 2] })],
  ["ATTRIBUTE", "missing", change(3, { attributes: {} })],
  ["ATTRIBUTE", "unknown", attributes(3, { keepdims: true })],
  ["ATTRIBUTE", "wrong kind", attributes(3, { axes: "01" })],
  ["ATTRIBUTE", "negative", attributes(3, { axes: [-1] })],
  ["ATTRIBUTE", "unknown dtype", attributes(0, { dtype: "f64" })],
  ["ATTRIBUTE", "unknown role", attributes(0, { role: "output" })],
  ["ATTRIBUTE", "typed array", attributes(0, { data: new Float32Array(2) })],
  ["ATTRIBUTE", "class instance", attributes(0, { data: { at: new Date(0) } })],
  ["ATTRIBUTE", "undefined", attributes(0, { data: undefined })],
  ["ATTRIBUTE", "not a number", attributes(0, { data: [Number.NaN] })],
  ["TYPE", "another shape", change(3, { type: f32(1) })],
  ["TYPE", "another dtype", change(3, { type: tensor("i32", []) })],
  ["TYPE", "inputs that do not fit", attributes(2, { spec: "nk,km->nm" })],
  ["TYPE", "a spec that is none", attributes(2, { spec: "nk" })],
  ["LEVEL", "operators at tensor level", withOperator(), "tensor"],
  ["PORT", "one name twice", attributes(1, { name: "x" })],
  ["PORT", "no name", attributes(1, { name: "" })],
  ["PORT", "a param in i32", attributes(1, { dtype: "i32" })],
  ["OUTPUT", "no node", outputs(["y", 4])],
  ["OUTPUT", "negative", outputs(["y", -1])],
  ["OUTPUT", "one name twice", outputs(["y", 2], ["y", 3])],
  ["OUTPUT", "no name", outputs(["", 2])],
  ["OUTPUT", "an operator", { ...withOperator(), outputs: [{ name: "y", node: 2 }] }],
  ["CONTEXT", "scope", change(2, { scope: 3 })],
  ["CONTEXT", "location", change(2, { location: { file: "m.ts", line: 0.5 } })],
  ["CONTEXT", "from", change(2, { from: [-1] })],
];

describe("verify", () => {
  it("takes sound graphs", () => {
    expect(violations(sound(), "tensor")).toEqual([]);
    expect(violations(sound(), "operator")).toEqual([]);
    expect(violations(withOperator(), "operator")).toEqual([]);
  });

  it.each(broken.map(([code, name, graph, level]) => [code, name, graph, level ?? "operator"] as const))(
    "%s: %s",
    (code, _name, graph, level) => {
      const found = violations(graph, level).map((d) => d.code);
      expect(found).toContain(`IR-VERIFY-${code}`);
      const others = found.filter((other) => other !== `IR-VERIFY-${code}` && other !== "IR-VERIFY-TYPE");
      expect(others).toEqual([]);
      expect(() => verify(graph, level)).toThrow(WebpeftError);
    },
  );

  it("SHAPE: extents that are no positive integers", () => {
    for (const shape of [[0], [1.5], [Number.NaN], [2 ** 60]]) {
      expect(violations(change(3, { type: f32(...shape) }), "tensor").map((d) => d.code)).toContain("IR-VERIFY-SHAPE");
    }
    expect(violations(change(3, { type: operatorType(0, 2) }), "operator").map((d) => d.code)).toContain(
      "IR-VERIFY-SHAPE",
    );
  });

  it("reports everything at once, with node and scope", () => {
    const graph = { ...attributes(1, { name: "x" }), outputs: [{ name: "y", node: 9 }] };
    const both = { ...graph, nodes: graph.nodes.map((node, i) => (i === 2 ? { ...node, type: f32(9) } : node)) };
    expect(() => verify(both, "tensor")).toThrow(expect.objectContaining({ code: "IR-VERIFY-PORT" }));
    const found = violations(both, "tensor");
    expect(found.map((d) => d.code)).toEqual([
      "IR-VERIFY-PORT",
      "IR-VERIFY-TYPE",
      "IR-VERIFY-TYPE",
      "IR-VERIFY-OUTPUT",
    ]);
    expect(found[1]).toMatchObject({ where: "sound: %2 = einsum in layer", expected: "f32[4,2]", got: "f32[9]" });
  });
});
