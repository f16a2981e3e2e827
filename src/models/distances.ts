/** DeBERTa's relative positions: distances of keys, of which far ones share a bucket, and scores by distance as scores by key. */
import type { Builder } from "../ir/builder.ts";

export interface Buckets {
  /** Buckets in one direction. */
  readonly span: number;
  /** Half of them are for one distance each; undefined: all are. */
  readonly buckets: number | undefined;
  /** The distance that has the last bucket. */
  readonly farthest: number;
}

/** Bucket of a distance that is not negative; computed in f32, as PyTorch does. */
function bucketOf(distance: number, { buckets, farthest }: Buckets): number {
  const exact = Math.floor((buckets ?? 0) / 2);
  if (buckets === undefined || distance <= exact) return distance;
  const log = (x: number): number => Math.fround(Math.log(Math.fround(x)));
  const share = Math.fround(log(distance / exact) / log((farthest - 1) / exact));
  return Math.ceil(Math.fround(share * (exact - 1))) + exact;
}

/**
 * Rows, i32[2 length - 1], of the table of distances for every distance that a row of `length` has: of keys from the farthest behind a query
 * to the farthest in front of it, or the other way round.
 */
export function distanceRows(
  builder: Builder,
  length: number,
  buckets: Buckets,
  way: "to keys" | "to queries",
): number {
  const shape = [2 * length - 1];
  const places = builder.cast(builder.iota(shape, 0), "f32");
  const offset = builder.constant(length - 1, shape);
  const apart = way === "to keys" ? builder.sub(offset, places) : builder.sub(places, offset);
  const distance = builder.add("abs", [apart]);
  // All in a row as far as buckets are of one distance, then a step wherever one begins.
  let end = 0;
  while (end + 1 < length && bucketOf(end + 1, buckets) === end + 1) end++;
  let bucket = builder.add("minimum", [distance, builder.constant(end, shape)]);
  for (let at = end + 1; at < length; at++) {
    const step = bucketOf(at, buckets) - bucketOf(at - 1, buckets);
    const isReached = builder.compare("le", builder.constant(at, shape), distance);
    if (step > 0) bucket = builder.plus(bucket, builder.scale(builder.cast(isReached, "f32"), step));
  }
  const signed = builder.select(builder.compare("lt", apart, builder.zerosLike(apart)), builder.neg(bucket), bucket);
  const row = builder.plus(signed, builder.constant(buckets.span, shape));
  const kept = builder.add("maximum", [
    builder.add("minimum", [row, builder.constant(2 * buckets.span - 1, shape)]),
    builder.zerosLike(row),
  ]);
  return builder.cast(kept, "i32");
}

/** [b, n, i, j] of f32[b, n, i, length - 1 - i + j], where the last axis is of 2 length - 1 distances: f32[b, n, length, length]. */
export function byPlace(builder: Builder, scores: number): number {
  const [batch, heads, length] = builder.shape(scores) as [number, number, number];
  // Rows that are one longer begin one earlier each, seen from rows that are not.
  const padded = builder.add("pad", [scores], { low: [0, 0, 0, 0], high: [0, 0, 0, 1] });
  const flat = builder.reshape(padded, [batch, heads, 2 * length * length]);
  const width = 2 * length - 1;
  const from = builder.slice(flat, [0, 0, length - 1], [batch, heads, length - 1 + length * width]);
  const rows = builder.reshape(from, [batch, heads, length, width]);
  return builder.slice(rows, [0, 0, 0, 0], [batch, heads, length, length]);
}
