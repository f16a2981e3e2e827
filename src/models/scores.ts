/** What attentions add to their scores. */
import { type AlibiScores, alibiScores } from "./alibi.ts";
import { type DistanceScores, type Distances, distanceScores } from "./distances.ts";
import { embedding, linear, type Unary } from "./layers.ts";
import type { Bound, Module, Place } from "./module.ts";
import { relativeBuckets } from "./relative.ts";
import type { Sequence } from "./sequence.ts";

/** A table of scores, and layers of distances. */
export type ScoreRole = "score table" | "distance key" | "distance query";

/** Embeddings f32[buckets, heads] of distances, in a table of the layer or of the stack; a layer without one has those of a layer before (T5). */
interface BucketScores {
  readonly kind: "buckets";
  readonly buckets: number;
  /** Distances from here on share the last bucket. */
  readonly distance: number;
  readonly bothWays: boolean;
}

export type ScoreSpec = BucketScores | DistanceScores | AlibiScores;

/** What the attentions of a stack share. */
export interface SharedScores {
  readonly distances: Distances | undefined;
  readonly table: Unary | undefined;
  made?: number;
}

type Parts<T> = { readonly [R in ScoreRole]: T | undefined };

/** The modules of its own that an attention of this width has for its scores. */
export function scoreParts(hidden: number, heads: number, scores: ScoreSpec | undefined): Parts<Module<Unary>> {
  const way = (name: string): Module<Unary> | undefined =>
    scores?.kind === "distances" && scores.apart && scores.ways.includes(name)
      ? linear(hidden, hidden, true)
      : undefined;
  return {
    "score table": scores?.kind === "buckets" ? embedding(scores.buckets, heads) : undefined,
    ...{ "distance key": way("c2p"), "distance query": way("p2c") },
  };
}

/** What scores are made of: queries f32[b, s, n, 1, d], keys f32[b, t, n, d], and the layers that made them. */
interface Operands {
  readonly queries: number;
  readonly keys: number;
  readonly scale: number;
  readonly parts: Parts<Bound<Unary>> & { readonly [R in "query" | "key"]: Bound<Unary> | undefined };
}

/** f32[n, s, t], f32[b, n, s, t] or f32[b, n, g, s, t], or nothing. */
export function scoresOf(
  { builder }: Place,
  scores: ScoreSpec | undefined,
  { queries, keys, scale, parts }: Operands,
  { sequence, shared }: { readonly sequence: Sequence; readonly shared: SharedScores },
): number | undefined {
  switch (scores?.kind) {
    case undefined:
      return undefined;
    case "buckets": {
      const table = parts["score table"] ?? (shared.made === undefined ? shared.table : undefined);
      if (table !== undefined)
        shared.made = builder.transpose(
          table(relativeBuckets(builder, sequence.positions, sequence.keys, scores)),
          [2, 0, 1],
        );
      return shared.made;
    }
    case "alibi":
      shared.made ??= alibiScores(builder, scores, sequence, builder.shape(queries));
      return shared.made;
    case "distances": {
      const contents = builder.reshape(queries, builder.shape(keys));
      const [ofKeys, ofQueries] = [parts["distance key"] ?? parts.key!, parts["distance query"] ?? parts.query!];
      const sum = distanceScores(builder, scores, shared.distances!, { queries: contents, keys, ofKeys, ofQueries });
      return sum === undefined ? undefined : builder.scale(sum, scale);
    }
  }
  return scores satisfies never;
}
