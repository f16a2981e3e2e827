import { describe, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import { relativeBuckets } from "../../src/models/relative.ts";

/** The distances at which buckets begin, as `T5Attention._relative_position_bucket` of transformers has them. */
const starts: readonly (readonly [boolean, number, number, readonly number[]])[] = [
  [true, 32, 128, [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91]],
  [
    false,
    32,
    128,
    [
      ...Array.from({ length: 17 }, (_unused, i) => i),
      ...[19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113],
    ],
  ],
  [false, 20, 77, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 16, 19, 23, 28, 35, 42, 52, 63]],
];

describe("relative positions", () => {
  it.each(starts)("both ways %s, %i buckets up to %i", (bothWays, buckets, distance, want) => {
    const length = 150;
    const builder = new Builder("buckets");
    const node = relativeBuckets(builder, length, 0, { buckets, distance, bothWays });
    const later = relativeBuckets(builder, 3, length - 3, { buckets, distance, bothWays });
    const graph = builder.finish([
      { name: "buckets", node },
      { name: "later", node: later },
    ]);
    const { data } = evaluate(graph, {}).buckets!;
    const bucket = (query: number, key: number): number => data[query * length + key]!;
    const behind = Array.from({ length }, (_unused, i) => bucket(length - 1, length - 1 - i));
    expect([...new Set(behind)].map((b) => behind.indexOf(b))).toEqual(want);
    expect(behind).toEqual([...behind].sort((a, b) => a - b));
    // The last queries, behind keys that stand before them.
    expect([...evaluate(graph, {}).later!.data]).toEqual([...data].slice((length - 3) * length));
    // Keys after the query: the other half of the buckets, or all in the first.
    for (const apart of [1, 5, 40, 149]) expect(bucket(0, apart)).toBe(bothWays ? behind[apart]! + buckets / 2 : 0);
  });
});
