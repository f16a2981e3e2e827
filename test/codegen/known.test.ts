/** What is kept from program to program, and what is forgotten. */
import { describe, expect, it } from "vitest";
import { Canonicals } from "../../src/codegen/kernel/canonical.ts";
import type { Statement } from "../../src/codegen/kernel/kernel.ts";
import { Recent } from "../../src/ir/remember.ts";

const body = (name: string): readonly Statement[] => [
  { kind: "let", name, value: { kind: "literal", value: 2, type: "f32" } },
];

describe("entries of a map", () => {
  it("are kept when they were asked for last", () => {
    const map = new Recent<string, number>();
    for (const [i, key] of ["a", "b", "c", "d"].entries()) map.set(key, i);
    expect(map.keep(4)).toBe(false);
    expect(map.get("a")).toBe(0);
    map.set("c", 5);
    expect(map.get("never set")).toBeUndefined();
    expect(map.keep(2)).toBe(true);
    expect([...map.values()]).toEqual([0, 5]);
    expect(map.get("d")).toBeUndefined();
  });
});

describe("canonical forms", () => {
  it("of the bodies that are kept are still those of bodies that are alike", () => {
    const canonicals = new Canonicals();
    const [kept, alike, other] = [body("x7"), body("x9"), [...body("y1"), ...body("y2")]];
    const first = canonicals.of({ statements: kept });
    const forgotten = canonicals.of({ statements: other });
    canonicals.keep(new Set([kept]));
    expect(canonicals.of({ statements: kept })).toBe(first);
    expect(canonicals.of({ statements: alike }).statements).toBe(first.statements);
    const again = canonicals.of({ statements: other });
    expect(again.statements).not.toBe(forgotten.statements);
    expect(again).toEqual(forgotten);
  });
});
