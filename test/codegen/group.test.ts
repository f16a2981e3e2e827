/** Order and grouping of units: small work waits for its likes, dependencies hold, and waiting never costs a dispatch. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mostParts } from "../../src/codegen/kernel/kernel.ts";
import { groupUnits, type Schedulable } from "../../src/codegen/layout/group.ts";

const unit = (key: string, canWait: boolean, ...dependencies: number[]): Schedulable => ({
  key,
  canWait,
  dependencies: new Set(dependencies),
});

/** A path of three, from each of which one small unit hangs. */
const comb = (canWait: boolean): Schedulable[] => [
  unit("a", false),
  unit("small", canWait, 0),
  unit("b", false, 0),
  unit("small", canWait, 2),
  unit("c", false, 2),
  unit("small", canWait, 4),
];

describe("groupUnits", () => {
  it("lets small units wait until their likes are ready", () => {
    expect(groupUnits(comb(false))).toEqual([[0], [1], [2], [3], [4], [5]]);
    expect(groupUnits(comb(true))).toEqual([[0], [2], [4], [1, 3, 5]]);
  });

  it("takes first what most hangs on, when all that is ready can wait", () => {
    const units = [unit("small", true), unit("path", true), unit("end", false, 1), unit("small", true, 2)];
    expect(groupUnits(units)).toEqual([[1], [2], [0, 3]]);
  });

  it("keeps dependencies, and is never longer than without waiting", () => {
    const units = fc.array(
      fc.tuple(fc.constantFrom("x", "y", "z"), fc.boolean(), fc.array(fc.nat(30), { maxLength: 3 })),
      {
        maxLength: 30,
      },
    );
    fc.assert(
      fc.property(units, (drawn) => {
        const made = drawn.map(([key, canWait, reads], u) => unit(key, canWait, ...reads.filter((d) => d < u)));
        const groups = groupUnits(made);
        const place = new Map(groups.flatMap((group, i) => group.map((u) => [u, i] as const)));
        expect(place.size).toBe(made.length);
        made.forEach(({ dependencies }, u) => {
          for (const d of dependencies) expect(place.get(d)!).toBeLessThan(place.get(u)!);
        });
        for (const group of groups) expect(new Set(group.map((u) => made[u]!.key)).size).toBe(1);
        expect(groups.length).toBeLessThanOrEqual(groupUnits(made.map((m) => ({ ...m, canWait: false }))).length);
      }),
      { seed: 5, numRuns: 300 },
    );
  });

  it("takes no more units into a dispatch than it can have parts, in their order", () => {
    const units = Array.from({ length: mostParts + 2 }, (_unused, u) => unit(u === 1 ? "other" : "same", false));
    const same = [...units.keys()].filter((u) => u !== 1);
    expect(groupUnits(units)).toEqual([same.slice(0, mostParts), [1], same.slice(mostParts)]);
  });

  it("takes what copies out first, and what is made again last", () => {
    const units = [
      { ...unit("again", false), isLate: true },
      unit("waits", true),
      unit("now", false),
      { ...unit("out", true), isUrgent: true },
    ];
    expect(groupUnits(units)).toEqual([[3], [1], [2], [0]]);
  });
});
