import { describe, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import { openUniform, threefry } from "../../src/ir/threefry.ts";

describe("threefry", () => {
  it.each([
    [
      [0, 0, 0, 0],
      [0x6b200159, 0x99ba4efe],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0x1cb996fc, 0xbb002be7],
    ],
    [
      [0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3],
      [0xc4923a9c, 0x483df7a0],
    ],
  ] as const)("of %j is the published answer", ([k0, k1, c0, c1], answer) => {
    expect(threefry(k0, k1, c0, c1)).toEqual(answer);
  });

  it("as a uniform lies strictly inside (0, 1) and is exact in f32", () => {
    for (const r of [0, 511, 512, 0x7fffffff, 0xffffffff]) {
      const u = openUniform(r);
      expect(u).toBeGreaterThan(0);
      expect(u).toBeLessThan(1);
      expect(Math.fround(u)).toBe(u);
    }
    expect(openUniform(0)).toBe(2 ** -24);
  });
});

function draw(
  batch: number,
  offset: number,
  attributes: { site?: number; tensor?: number } = {},
  seed = 7,
  step = 3,
): Float64Array {
  const builder = new Builder("draw");
  const scalars = ["seed", "step", "offset"].map((name) => builder.port(name, "input", "u32", []));
  const u = builder.add("uniform", scalars, { shape: [batch, 50, 4], site: 2, tensor: 1, ...attributes });
  return evaluate(builder.finish([{ name: "u", node: u }]), { seed: [seed], step: [step], offset: [offset] }).u!.data;
}

describe("uniform", () => {
  it("does not depend on how a batch is cut", () => {
    const whole = draw(8, 0);
    expect([...draw(3, 0), ...draw(1, 3), ...draw(4, 4)]).toEqual([...whole]);
  });

  it("depends on seed, step, site and tensor", () => {
    const base = draw(2, 0);
    for (const other of [draw(2, 0, {}, 8), draw(2, 0, {}, 7, 4), draw(2, 0, { site: 3 }), draw(2, 0, { tensor: 2 })]) {
      expect(other.filter((x, i) => x === base[i]).length).toBeLessThan(3);
    }
    expect(draw(2, 0)).toEqual(base);
  });

  it("is spread evenly", () => {
    const values = draw(50, 0);
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const squares = values.reduce((a, b) => a + b * b, 0) / values.length;
    expect(mean).toBeCloseTo(1 / 2, 1.5);
    expect(squares).toBeCloseTo(1 / 3, 1.5);
    for (let bin = 0; bin < 10; bin++) {
      const share = values.filter((x) => Math.floor(x * 10) === bin).length / values.length;
      expect(Math.abs(share - 0.1)).toBeLessThan(0.015);
    }
  });
});
