import { describe, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import type { Attributes } from "../../src/ir/graph.ts";
import { opRecord } from "../../src/ir/registry.ts";
import { f32, i32, operatorType, type Type, tensor } from "../../src/ir/types.ts";

const bool = (...shape: number[]): Type => tensor("bool", shape);
const u32 = tensor("u32", []);

/** Inputs and attributes that an op must refuse. */
const refused: readonly (readonly [string, readonly Type[], Attributes])[] = [
  ["neg", [i32(3)], {}],
  ["exp", [operatorType(3, 3)], {}],
  ["add", [f32(3), f32(4)], {}],
  ["add", [f32(3), i32(3)], {}],
  ["mul", [bool(3), bool(3)], {}],
  ["lt", [f32(3), f32(3, 1)], {}],
  ["and", [f32(3), f32(3)], {}],
  ["not", [i32(3)], {}],
  ["select", [f32(3), f32(3), f32(3)], {}],
  ["select", [bool(3), f32(3), i32(3)], {}],
  ["select", [bool(2), f32(3), f32(3)], {}],
  ["cast", [operatorType(2, 2)], { dtype: "f32" }],
  ["reshape", [f32(6)], { shape: [4] }],
  ["transpose", [f32(2, 3)], { permutation: [0, 0] }],
  ["transpose", [f32(2, 3)], { permutation: [0] }],
  ["broadcast", [f32(2)], { shape: [3, 3], axes: [0] }],
  ["broadcast", [f32(2, 3)], { shape: [3, 2], axes: [1, 0] }],
  ["broadcast", [f32(2)], { shape: [2, 2], axes: [] }],
  ["slice", [f32(4)], { start: [2], limit: [5] }],
  ["slice", [f32(4)], { start: [2], limit: [2] }],
  ["slice", [f32(4)], { start: [0], limit: [1, 1] }],
  ["pad", [f32(4)], { low: [0, 0], high: [0, 0] }],
  ["pad", [f32(4)], { low: [0], high: [0, 1] }],
  ["concat", [f32(2, 3), f32(3, 2)], { axis: 0 }],
  ["concat", [f32(2), i32(2)], { axis: 0 }],
  ["concat", [f32(2), f32(2)], { axis: 1 }],
  ["sum", [i32(2)], { axes: [0] }],
  ["sum", [f32(2)], { axes: [1] }],
  ["sum", [f32(2, 2)], { axes: [1, 0] }],
  ["reduce_max", [f32(2, 2)], { axes: [0, 0] }],
  ["iota", [], { axis: 1, shape: [3] }],
  ["einsum", [f32(2, 3), f32(2, 4)], { spec: "mk,nk->mn" }],
  ["einsum", [f32(2, 3), f32(3)], { spec: "mk,nk->mn" }],
  ["einsum", [f32(2), i32(2)], { spec: "k,k->" }],
  ["gather", [f32(4, 2), f32(3)], {}],
  ["gather", [f32(), i32(3)], {}],
  ["scatter_add", [i32(3), f32(2, 2)], { rows: 4 }],
  ["scatter_add", [f32(3), f32(3, 2)], { rows: 4 }],
  ["uniform", [u32, u32, f32()], { shape: [2], site: 0, tensor: 0 }],
  ["inverse", [f32(3, 3)], {}],
  ["inverse", [f32(1, 3, 2)], {}],
  ["op.dense", [i32(2, 2)], {}],
  ["op.diag", [f32(2, 2)], {}],
  ["op.diag", [i32(2)], {}],
  ["op.gate", [f32(2)], {}],
  ["op.gate", [i32(2, 2)], {}],
  ["op.blockdiag", [f32(2, 2)], {}],
  ["op.shuffle", [], { shape: [2, 3], permutation: [0, 2] }],
  ["op.compose", [operatorType(2, 3), operatorType(2, 3)], {}],
  ["op.compose", [operatorType(2, 3), f32(3, 3)], {}],
  ["op.add", [operatorType(2, 3), operatorType(3, 2)], {}],
  ["op.scale", [operatorType(2, 3), f32(1)], {}],
  ["op.scale", [operatorType(2, 3), i32()], {}],
  ["op.transpose", [f32(2, 3)], {}],
  ["op.dropout", [u32, u32, i32()], { size: 3, p: 0.5, site: 0, tensor: 0 }],
  ["op.apply", [operatorType(2, 3), f32(4, 2)], {}],
  ["op.apply", [f32(2, 3), f32(4, 3)], {}],
  ["op.apply_part", [operatorType(4, 3), f32(2, 5, 3), i32(3)], { parts: 2 }],
  ["op.apply_part", [operatorType(4, 3), f32(2, 5, 3), i32(2)], { parts: 3 }],
  ["site.matrices", [f32(4, 3), f32(2, 5, 3)], { path: "p" }],
  ["op.to_dense", [f32(2, 3)], {}],
  ["op.row_norm", [f32(2, 3)], {}],
  ["site.linear", [f32(4, 3), f32(2, 4)], { path: "p" }],
  ["site.linear", [f32(4, 3), f32(2, 3), f32(3)], { path: "p" }],
  ["site.linear", [f32(4, 3), tensor("bf16", [2, 3])], { path: "p" }],
  ["site.embedding", [f32(4, 3), f32(2)], { path: "p" }],
  ["site.prompt", [f32(2, 4, 3), f32(9, 4)], { tokens: 2 }],
  [
    "site.attention",
    [f32(2, 4, 1, 1, 3), f32(2, 4, 1, 3), f32(2, 4, 1, 3)],
    { path: "p", scale: 1, cap: 0, before: 0 },
  ],
  ["site.attended", [f32(4, 3)], { path: "p" }],
  ["site.labels", [f32(2, 4)], {}],
  ["site.weights", [i32(4)], {}],
  ["site.norm", [f32(4, 3), f32(3)], { path: "p", kind: "batch", epsilon: 1 }],
  ["site.norm", [f32(4, 3), f32(4)], { path: "p", kind: "rms", epsilon: 1 }],
  ["site.norm", [f32(4, 3), f32(3), f32(4)], { path: "p", kind: "layer", epsilon: 1 }],
];

describe("types that do not fit are refused with a reason", () => {
  it.each(refused.map(([op, inputs, attributes]) => [op, inputs, attributes] as const))(
    "%s %j %j",
    (op, inputs, attributes) => {
      expect(() => opRecord(op).infer(inputs, attributes)).toThrow(
        expect.objectContaining({ code: "IR-TYPE", expected: expect.any(String), got: expect.any(String) }),
      );
    },
  );
});

describe("the builder", () => {
  it("shares equal nodes and tells different ones apart", () => {
    const builder = new Builder("b");
    const x = builder.port("x", "input", "f32", [2]);
    expect(builder.neg(x)).toBe(builder.neg(x));
    expect(builder.scale(x, 2)).not.toBe(builder.scale(x, 3));
    expect(builder.port("y", "input", "f32", [2])).not.toBe(x);
  });

  it("refuses another number of inputs", () => {
    const builder = new Builder("b");
    expect(() => builder.add("neg", [])).toThrow(expect.objectContaining({ code: "IR-TYPE", expected: "1", got: "0" }));
    expect(() => builder.add("op.add", [])).toThrow(expect.objectContaining({ code: "IR-TYPE" }));
  });

  it("broadcasts as numpy does, and refuses what numpy refuses", () => {
    const builder = new Builder("b");
    const [a, b] = [builder.port("a", "input", "f32", [2, 1, 3]), builder.port("b", "input", "f32", [4, 1])];
    expect(builder.shape(builder.plus(a, b))).toEqual([2, 4, 3]);
    const c = builder.port("c", "input", "f32", [2]);
    expect(() => builder.mul(a, c)).toThrow(expect.objectContaining({ code: "IR-TYPE" }));
  });

  it("tags nodes with the innermost context and restores the outer one", () => {
    const builder = new Builder("b");
    const x = builder.port("x", "input", "f32", [2]);
    const [y, z] = builder.within({ scope: "outer", location: { file: "m.ts", line: 3 } }, () => [
      builder.within({ scope: "inner" }, () => builder.neg(x)),
      builder.add("exp", [x]),
    ]) as [number, number];
    expect(builder.node(y)).toMatchObject({ scope: "inner", location: { file: "m.ts", line: 3 } });
    expect(builder.node(z)).toMatchObject({ scope: "outer" });
    expect(builder.node(x).scope).toBeUndefined();
  });

  it("tells operators and tensors apart", () => {
    const builder = new Builder("b");
    const m = builder.port("m", "input", "f32", [2, 3]);
    expect(() => builder.shape(builder.dense(m))).toThrow(expect.objectContaining({ code: "IR-TYPE" }));
    expect(() => builder.operator(m)).toThrow(expect.objectContaining({ code: "IR-TYPE" }));
  });
});
