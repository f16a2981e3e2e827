/** DeBERTa's relative positions: distances of keys, of which far ones share a bucket, and scores by distance as scores by key. */
import type { Builder } from "../ir/builder.ts";
import type { Unary } from "./layers.ts";
import type { Module } from "./module.ts";

/** The table of distances of a stack. */
export interface DistanceSpec {
  /** Buckets in one direction. */
  readonly span: number;
  /** Half of them are for one distance each; undefined: all are. */
  readonly buckets: number | undefined;
  /** The distance that has the last bucket. */
  readonly farthest: number;
}

/** How distances are counted: from a query to keys, or from a key to queries. */
type Way = "to keys" | "to queries";

/** Embeddings f32[2 length - 1, hidden] of all distances that a row has. */
export type Distances = Readonly<Record<Way, number>>;

/** Bucket of a distance that is not negative; computed in f32, as PyTorch does. */
function bucketOf(distance: number, { buckets, farthest }: DistanceSpec): number {
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
function distanceRows(builder: Builder, length: number, buckets: DistanceSpec, way: Way): number {
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
function byPlace(builder: Builder, scores: number): number {
  const [batch, heads, length] = builder.shape(scores) as [number, number, number];
  // Rows that are one longer begin one earlier each, seen from rows that are not.
  const padded = builder.add("pad", [scores], { low: [0, 0, 0, 0], high: [0, 0, 0, 1] });
  const flat = builder.reshape(padded, [batch, heads, 2 * length * length]);
  const width = 2 * length - 1;
  const from = builder.slice(flat, [0, 0, length - 1], [batch, heads, length - 1 + length * width]);
  const rows = builder.reshape(from, [batch, heads, length, width]);
  return builder.slice(rows, [0, 0, 0, 0], [batch, heads, length, length]);
}

/** The table f32[2 span, hidden]. Nothing looks it up but attentions, so adapters of embeddings cannot change it. */
export const distanceTable = (hidden: number, { span }: DistanceSpec): Module<() => number> => ({
  entry: (path) => ({
    ...{ path, kind: "container", layout: "linear" },
    parameters: { weight: { key: `${path}.weight`, shape: [2 * span, hidden] } },
  }),
  children: {},
  call:
    ({ sites, path }) =>
    () =>
      sites.parameter(path, "weight"),
});

/** What a row of `length` reads of the table. */
export function distancesOf(builder: Builder, table: number, length: number, spec: DistanceSpec): Distances {
  const width = builder.shape(table)[1]!;
  const rows = (way: Way): number => {
    const found = builder.add("gather", [table, distanceRows(builder, length, spec, way)]);
    return builder.reshape(found, [1, 2 * length - 1, width]);
  };
  return { "to keys": rows("to keys"), "to queries": rows("to queries") };
}

/** Which scores by distance there are: of queries by the distance to a key, and of keys by the distance to a query. */
export interface DistanceScores {
  readonly kind: "distances";
  readonly ways: readonly string[];
  /** Distances go through layers of their own, not through those of keys and queries. */
  readonly apart: boolean;
}

/** The sum of these scores f32[b, heads, s, s], of queries and keys f32[b, s, heads, d]; nothing where there are none. */
export function distanceScores(
  builder: Builder,
  { ways }: DistanceScores,
  distances: Distances,
  {
    queries,
    keys,
    ofKeys,
    ofQueries,
  }: { readonly queries: number; readonly keys: number; readonly ofKeys: Unary; readonly ofQueries: Unary },
): number | undefined {
  const apart = (contents: number, made: number): number => {
    const [, length, heads, width] = builder.shape(contents) as [number, number, number, number];
    const rows = builder.reshape(made, [2 * length - 1, heads, width]);
    return byPlace(builder, builder.einsum("bsnd,mnd->bnsm", contents, rows));
  };
  const parts: number[] = [];
  if (ways.includes("c2p")) parts.push(apart(queries, ofKeys(distances["to keys"])));
  if (ways.includes("p2c"))
    parts.push(builder.transpose(apart(keys, ofQueries(distances["to queries"])), [0, 1, 3, 2]));
  return parts.length === 0 ? undefined : parts.reduce((a, b) => builder.plus(a, b));
}
