/** T5's relative positions: which bucket of distances a key lies in, seen from a query. */
import type { Builder } from "../ir/builder.ts";
import { queriesAndKeys } from "./attention.ts";

/** Bucket of a distance: small distances have their own, larger ones share ever more; computed in f32, as PyTorch does. */
function bucketOf(distance: number, buckets: number, largest: number): number {
  const exact = buckets / 2;
  if (distance < exact) return distance;
  const share = Math.fround(Math.fround(Math.log(distance / exact)) / Math.fround(Math.log(largest / exact)));
  return Math.min(buckets - 1, exact + Math.floor(Math.fround(share * (buckets - exact))));
}

/**
 * Buckets i32[length, before + length] of keys (second axis) seen from queries (first), which begin behind keys that stand `before` them. `bothWays`: half of the buckets are for keys behind the query,
 * half for those after it; otherwise keys after it are in bucket 0.
 */
export function relativeBuckets(
  builder: Builder,
  length: number,
  before: number,
  { buckets, distance, bothWays }: { readonly buckets: number; readonly distance: number; readonly bothWays: boolean },
): number {
  const square = [length, before + length];
  const [query, key] = queriesAndKeys(builder, length, before, "f32");
  const side = bothWays ? buckets / 2 : buckets;
  const count = (apart: number): number => {
    let sum = builder.constant(0, square);
    let last = 0;
    // As many ones as there are buckets that begin at this distance or before.
    for (let at = 1; at < before + length; at++) {
      for (const bucket = bucketOf(at, side, distance); last < bucket; last++) {
        const reached = builder.compare("le", builder.constant(at, square), apart);
        sum = builder.plus(sum, builder.cast(reached, "f32"));
      }
    }
    return sum;
  };
  const behind = builder.sub(query, key);
  if (!bothWays) return builder.cast(count(behind), "i32");
  const after = builder.cast(builder.compare("lt", query, key), "f32");
  const sides = builder.scale(after, side);
  return builder.cast(builder.plus(count(builder.add("abs", [behind])), sides), "i32");
}
