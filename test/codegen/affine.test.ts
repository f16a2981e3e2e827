import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as affine from "../../src/codegen/emit/affine.ts";
import { type Affine, keyOf } from "../../src/codegen/emit/affine.ts";
import { u32 } from "../../src/codegen/kernel/kernel.ts";
import { sizeOf } from "../../src/ir/types.ts";

const variable = (key: string, extent: number): Affine => affine.variable(key, extent, u32(0), 0);

/** The value for given values of the variables. */
function evaluate(a: Affine, at: Readonly<Record<string, number>>): number {
  const atom = (x: affine.Atom): number => {
    if (x.kind === "variable") return at[x.key]!;
    const of = evaluate(x.of, at);
    return x.kind === "div" ? Math.floor(of / x.by) : of % x.by;
  };
  return a.terms.reduce((sum, t) => sum + t.factor * atom(t.atom), a.constant);
}

const shapeArb = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 });

describe("affine index expressions", () => {
  it("keep the value through chains of reshapes", () => {
    const chain = fc.record({ shape: shapeArb, tile: fc.constantFrom(1, 2, 4, 8), seed: fc.nat() });
    fc.assert(
      fc.property(chain, ({ shape, tile, seed }) => {
        const total = sizeOf(shape) * tile;
        const outer = variable("x", total / tile);
        const inner = variable("l", tile);
        const position = affine.add(affine.scale(outer, tile), inner);
        const other = [tile, ...[...shape].reverse()];
        const through = affine.delinearize(
          affine.linearize(affine.delinearize(position, [...shape, tile]), [...shape, tile]),
          other,
        );
        const x = seed % (total / tile);
        const l = seed % tile;
        const plain: number[] = [];
        let rest = x * tile + l;
        for (const n of [...other].reverse()) {
          plain.unshift(rest % n);
          rest = Math.floor(rest / n);
        }
        expect(through.map((a) => evaluate(a, { x, l }))).toEqual(plain);
        expect(through.every((a, i) => a.lo >= 0 && a.hi <= Math.max(0, other[i]! - 1) + 0)).toBe(true);
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it("sees that splitting an index and joining it again is nothing", () => {
    const x = variable("x", 240);
    const back = affine.linearize(affine.delinearize(x, [4, 5, 12]), [4, 5, 12]);
    expect(keyOf(back)).toBe(keyOf(x));
  });

  it("carries tiles and lanes through quotients", () => {
    const position = affine.add(affine.scale(variable("t", 32), 4), variable("l", 4));
    expect(keyOf(affine.divide(position, 64))).toBe(keyOf(affine.divide(variable("t", 32), 16)));
    expect(keyOf(affine.remainder(position, 4))).toBe(keyOf(variable("l", 4)));
  });

  it("keeps values below zero apart from quotients until a guard bounds them", () => {
    const shifted = affine.add(variable("x", 16), affine.constant(-4));
    expect([shifted.lo, shifted.hi]).toEqual([-4, 11]);
    const guarded = affine.within(shifted, 0, 7);
    for (let x = 4; x < 12; x++) expect(evaluate(affine.divide(guarded, 4), { x })).toBe(Math.floor((x - 4) / 4));
  });

  it("divide sums with constants on both sides of zero", () => {
    const extent = fc.integer({ min: 1, max: 9 });
    const sums = fc.record({
      rows: extent,
      columns: extent,
      stride: extent,
      d: extent,
      from: fc.integer({ min: -9, max: 9 }),
    });
    fc.assert(
      fc.property(sums, ({ rows, columns, stride, d, from }) => {
        const sum = affine.add(affine.scale(variable("x", rows), stride), variable("y", columns));
        const moved = affine.add(sum, affine.constant(from));
        const guarded = affine.within(moved, Math.max(0, moved.lo), moved.hi);
        for (let x = 0; x < rows; x++) {
          for (let y = 0; y < columns; y++) {
            const value = x * stride + y + from;
            if (value < 0) continue;
            expect(evaluate(affine.divide(guarded, d), { x, y })).toBe(Math.floor(value / d));
            expect(evaluate(affine.remainder(guarded, d), { x, y })).toBe(value % d);
          }
        }
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});
