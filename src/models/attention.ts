/** Scaled dot-product attention with grouped heads and masks. */
import type { Builder } from "../ir/builder.ts";

/**
 * Added to the score of a key that is not seen. Finite, so that a row that sees nothing is uniform instead of NaN, and added rather than
 * put in its place, as transformers does: it absorbs the score, but the score keeps its gradient, which counts in rows that see nothing.
 */
const hidden = -1e30;

/** A mask i32[b, s] with ones in front: [b, count + s]. */
export function withOnes(builder: Builder, mask: number, count: number): number {
  if (count === 0) return mask;
  return builder.concat([builder.constant(1, [builder.shape(mask)[0]!, count], "i32"), mask], 1);
}

/**
 * The places of queries and of keys, each for all pairs of them, [length, before + length]: queries begin behind keys that stand `before` them.
 */
export function queriesAndKeys(
  builder: Builder,
  length: number,
  before: number,
  dtype: "i32" | "f32",
): readonly [query: number, key: number] {
  const pairs = [length, before + length];
  const places = (axis: number): number => builder.cast(builder.iota(pairs, axis), dtype);
  const query = places(0);
  return [before === 0 ? query : builder.plus(query, builder.constantLike(query, before)), places(1)];
}

/**
 * Which keys a query sees: bool[s, s], or bool[b, s, s] with a padding mask. Key t is seen from position i when t <= i,
 * when i - t < `window`, and when `mask` i32[b, s] is not 0 at t. With `before` virtual keys in front, which no mask hides, t counts them too and
 * i begins behind them: bool[s, before + s] or bool[b, s, before + s].
 */
export function visibility(
  builder: Builder,
  length: number,
  mask: number | undefined,
  window: number | undefined,
  before = 0,
): number {
  const all = before + length;
  const square = [length, all];
  const [query, key] = queriesAndKeys(builder, length, before, "i32");
  let seen = builder.compare("le", key, query);
  if (window !== undefined && window < all) {
    const reach = builder.plus(key, builder.constantLike(key, window));
    seen = builder.compare("and", seen, builder.compare("lt", query, reach));
  }
  if (mask === undefined) return seen;
  const shape = [builder.shape(mask)[0]!, ...square];
  const whole = withOnes(builder, mask, before);
  const real = builder.add("not", [builder.compare("eq", whole, builder.zerosLike(whole))]);
  return builder.compare("and", builder.broadcast(seen, shape, [1, 2]), builder.broadcast(real, shape, [0, 2]));
}

/** Keys that a padding mask i32[b, s] shows, from everywhere: bool[b, queries, s]. */
export function unpadded(builder: Builder, mask: number, queries: number): number {
  const [batch, length] = builder.shape(mask) as [number, number];
  const real = builder.add("not", [builder.compare("eq", mask, builder.zerosLike(mask))]);
  return builder.broadcast(real, [batch, queries, length], [0, 2]);
}

export interface Attention {
  /** f32[b, s, n, g, d]: n key heads, each shared by g query heads, which are an axis of their own so that keys are never repeated in memory. */
  readonly queries: number;
  /** f32[b, t, n, d]. */
  readonly keys: number;
  readonly values: number;
  /** Which keys a query sees: bool[s, t] or bool[b, s, t]; all unless given. */
  readonly seen?: number | undefined;
  /** Factor of the scores; 1 / sqrt(d) unless given. */
  readonly scale?: number;
  /** Scores are bent towards +-cap: cap tanh(score / cap); not where it is 0. */
  readonly cap?: number;
  /** Added to the scores: f32[n, s, t], f32[b, n, s, t] or f32[b, n, g, s, t]. */
  readonly bias?: number | undefined;
  /** Scores of keys that are not seen have no gradient, not even in rows that see nothing. */
  readonly replaces?: boolean | undefined;
}

/** cap tanh(x / cap). */
export const softcap = (builder: Builder, x: number, cap: number): number =>
  builder.scale(builder.add("tanh", [builder.scale(x, 1 / cap)]), cap);

/** Axes of the scores that a bias of so many axes has. */
const biasAxes: Readonly<Record<number, readonly number[]>> = { 3: [1, 3, 4], 4: [0, 1, 3, 4], 5: [0, 1, 2, 3, 4] };

/** Context f32[b, s, n, g, d]. A query that sees no key gets the mean of all values. */
export function attend(builder: Builder, attention: Attention): number {
  const { queries, keys, values, seen, scale, cap = 0, bias, replaces = false } = attention;
  const width = builder.shape(queries).at(-1)!;
  let scores = builder.scale(builder.einsum("bsngd,btnd->bngst", queries, keys), scale ?? 1 / Math.sqrt(width));
  const shape = builder.shape(scores);
  if (cap !== 0) scores = softcap(builder, scores, cap);
  if (bias !== undefined)
    scores = builder.plus(scores, builder.broadcast(bias, shape, biasAxes[builder.shape(bias).length]!));
  if (seen !== undefined) {
    const condition = builder.broadcast(seen, shape, builder.shape(seen).length === 2 ? [3, 4] : [0, 3, 4]);
    const penalty = builder.constantLike(scores, hidden);
    scores = replaces
      ? builder.select(condition, scores, penalty)
      : builder.plus(scores, builder.select(condition, builder.zerosLike(scores), penalty));
  }
  return builder.einsum("bngst,btnd->bsngd", builder.add("softmax", [scores]), values);
}
