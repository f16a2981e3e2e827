/** How model-level nodes become tensor ops; `attach` uses this for sites. */
import type { Builder } from "../ir/builder.ts";

/** What a norm does beside dividing by the root of the mean square: whether it takes the mean off, and what is added to its gain. */
const normKinds = {
  rms: { centred: false, offset: 0 },
  layer: { centred: true, offset: 0 },
  // Gains are stored as their distance from one.
  "rms-from-one": { centred: false, offset: 1 },
  "layer-from-one": { centred: true, offset: 1 },
} as const;

export type NormKind = keyof typeof normKinds;

/** Values of one row each, [...], repeated along a new last axis of extent `width`. */
export function alongRows(builder: Builder, rows: number, width: number): number {
  const shape = builder.shape(rows);
  return builder.broadcast(
    rows,
    [...shape, width],
    shape.map((_n, axis) => axis),
  );
}

function rowMean(builder: Builder, x: number): number {
  const shape = builder.shape(x);
  return builder.scale(builder.sum(x, [shape.length - 1]), 1 / shape.at(-1)!);
}

/**
 * Normalisation over the last axis. `rms`: x / sqrt(mean(x^2) + epsilon) * gain; `layer` takes the mean off first; those `from-one`
 * have the gain 1 + gain. x is [..., d], gain and bias are [d]; there may be neither. The variance is the biased one, as in PyTorch.
 */
export function lowerNorm(
  builder: Builder,
  x: number,
  gain: number | undefined,
  bias: number | undefined,
  kind: NormKind,
  epsilon: number,
): number {
  const width = builder.shape(x).at(-1)!;
  const { centred: centres, offset } = normKinds[kind];
  const centred = !centres ? x : builder.sub(x, alongRows(builder, rowMean(builder, x), width));
  const variance = rowMean(builder, builder.mul(centred, centred));
  const inverse = builder.add("rsqrt", [builder.plus(variance, builder.constantLike(variance, epsilon))]);
  const normed = builder.mul(centred, alongRows(builder, inverse, width));
  if (gain === undefined) return normed;
  const gains = offset === 0 ? gain : builder.plus(gain, builder.constantLike(gain, offset));
  const scaled = builder.mul(normed, gains);
  return bias === undefined ? scaled : builder.plus(scaled, bias);
}

/** Numbers one by one. */
export const vector = (builder: Builder, numbers: readonly number[]): number =>
  builder.concat(
    numbers.map((value) => builder.constant(value, [1])),
    0,
  );
