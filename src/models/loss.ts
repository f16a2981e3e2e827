/** Losses: cross entropy of classes and of flags, squared error of numbers. */
import type { Builder } from "../ir/builder.ts";
import { alongRows } from "./lowering.ts";

/** Labels with this value are not counted. */
export const ignoredLabel = -100;

/** Among labels that are floats, of which -100 may be one: no data has it, and its products with logits are finite. */
export const ignoredNumber = -(2 ** 100);

/** Where labels count: bool, shape of the labels. */
const countedPlaces = (builder: Builder, labels: number, ignored: number): number =>
  builder.add("not", [builder.compare("eq", labels, builder.constantLike(labels, ignored))]);

/**
 * The sum of -log p(label) over all counted labels times the scalar `scale`: f32[]. `logits` f32[...s, classes]; `labels` i32[...s]; `weights`
 * f32[...s] of the labels.
 */
export function crossEntropy(
  builder: Builder,
  logits: number,
  labels: number,
  scale: number,
  weights?: number,
): number {
  const shape = builder.shape(logits);
  const [last, classes] = [shape.length - 1, shape.at(-1)!];
  const counted = countedPlaces(builder, labels, ignoredLabel);

  const largest = builder.add("stop_gradient", [builder.max(logits, [last])]);
  const exponentials = builder.add("exp", [builder.sub(logits, alongRows(builder, largest, classes))]);
  const logSum = builder.plus(builder.add("log", [builder.sum(exponentials, [last])]), largest);

  const isTarget = builder.compare("eq", builder.iota(shape, last), alongRows(builder, labels, classes));
  const picked = builder.sum(builder.select(isTarget, logits, builder.zerosLike(logits)), [last]);

  const unweighted = builder.sub(logSum, picked);
  const surprise = weights === undefined ? unweighted : builder.mul(unweighted, weights);
  const total = builder.sum(
    builder.select(counted, surprise, builder.zerosLike(surprise)),
    shape.slice(0, -1).map((_n, axis) => axis),
  );
  return builder.mul(total, scale);
}

/**
 * Cross entropy of a causal language model: `logits` f32[b,s,v]; `labels` i32[b,s] and their `weights` unshifted: position t predicts label t + 1. The labels
 * are shifted, not the logits, so that no slice of the largest tensor is made.
 */
export function causalLoss(builder: Builder, logits: number, labels: number, scale: number, weights?: number): number {
  const next = weights === undefined ? undefined : following(builder, weights, 1);
  return crossEntropy(builder, logits, following(builder, labels, ignoredLabel), scale, next);
}

/** What [b,s] holds at t + 1 at place t; `last` at the last place. */
function following(builder: Builder, x: number, last: number): number {
  const [batch, length] = builder.shape(x) as readonly [number, number];
  const end = builder.constant(last, [batch, 1], builder.tensorType(x).dtype);
  if (length === 1) return end;
  return builder.concat([builder.slice(x, [0, 1], [batch, length]), end], 1);
}

/**
 * Of spans of a text: the mean over the first places and the mean over the last places, halved, times the places that count and the scalar
 * `scale`: f32[]. `logits` f32[b,s,2], `places` i32[b,2].
 */
export function spanLoss(builder: Builder, logits: number, places: number, scale: number): number {
  const byEnd = builder.transpose(logits, [0, 2, 1]);
  const counts = builder.cast(countedPlaces(builder, places, ignoredLabel), "f32");
  const ofEnd = builder.sum(counts, [0]);
  const atLeastOne = builder.add("maximum", [ofEnd, builder.constantLike(ofEnd, 1)]);
  const all = builder.broadcast(builder.sum(ofEnd, [0]), [2], []);
  const weights = builder.div(builder.scale(all, 0.5), atLeastOne);
  const spread = builder.broadcast(weights, builder.shape(places), [1]);
  return crossEntropy(builder, byEnd, places, scale, spread);
}

/** What counts of `x`, f32 of the shape of `labels`; 0 elsewhere. */
const countedOnly = (builder: Builder, x: number, labels: number): number =>
  builder.select(countedPlaces(builder, labels, ignoredNumber), x, builder.zerosLike(x));

const total = (builder: Builder, x: number, scale: number): number =>
  builder.mul(
    builder.sum(
      x,
      builder.shape(x).map((_n, axis) => axis),
    ),
    scale,
  );

/** The sum of (logit - number)^2 over the numbers that count (see `ignoredNumber`), times the scalar `scale`: f32[]. Both f32[..s]. */
export function squaredError(builder: Builder, logits: number, numbers: number, scale: number): number {
  const apart = countedOnly(builder, builder.sub(logits, numbers), numbers);
  return total(builder, builder.mul(apart, apart), scale);
}

/** The sum of -log of the probability of every flag, 1 or 0, that counts (see `ignoredNumber`), times the scalar `scale`: f32[]. Both f32[..s]. */
export function binaryCrossEntropy(builder: Builder, logits: number, flags: number, scale: number): number {
  // max(x, 0) - x flag + log(1 + exp(-|x|))
  const positive = builder.add("maximum", [logits, builder.zerosLike(logits)]);
  const decay = builder.add("exp", [builder.neg(builder.add("abs", [logits]))]);
  const rest = builder.add("log", [builder.plus(decay, builder.constantLike(decay, 1))]);
  const surprise = builder.plus(builder.sub(positive, builder.mul(logits, flags)), rest);
  return total(builder, countedOnly(builder, surprise, flags), scale);
}
