/** Cross entropy. */
import type { Builder } from "../ir/builder.ts";
import { alongRows } from "./lowering.ts";

/** Labels with this value are not counted. */
export const ignoredLabel = -100;

/** The sum of -log p(label) over all counted labels times the scalar `scale`: f32[]. `logits` f32[...s, classes]; `labels` i32[...s]. */
export function crossEntropy(builder: Builder, logits: number, labels: number, scale: number): number {
  const shape = builder.shape(logits);
  const [last, classes] = [shape.length - 1, shape.at(-1)!];
  const counted = builder.add("not", [builder.compare("eq", labels, builder.constantLike(labels, ignoredLabel))]);

  const largest = builder.add("stop_gradient", [builder.max(logits, [last])]);
  const exponentials = builder.add("exp", [builder.sub(logits, alongRows(builder, largest, classes))]);
  const logSum = builder.plus(builder.add("log", [builder.sum(exponentials, [last])]), largest);

  const isTarget = builder.compare("eq", builder.iota(shape, last), alongRows(builder, labels, classes));
  const picked = builder.sum(builder.select(isTarget, logits, builder.zerosLike(logits)), [last]);

  const surprise = builder.sub(logSum, picked);
  const total = builder.sum(
    builder.select(counted, surprise, builder.zerosLike(surprise)),
    shape.slice(0, -1).map((_n, axis) => axis),
  );
  return builder.mul(total, scale);
}

/**
 * Cross entropy of a causal language model: `logits` f32[b,s,v]; `labels` i32[b,s] unshifted: position t predicts label t + 1. The labels
 * are shifted, not the logits, so that no slice of the largest tensor is made.
 */
export function causalLoss(builder: Builder, logits: number, labels: number, scale: number): number {
  return crossEntropy(builder, logits, nextLabels(builder, labels), scale);
}

/** Label t + 1 at place t; nothing at the last place. */
function nextLabels(builder: Builder, labels: number): number {
  const [batch, length] = builder.shape(labels) as readonly [number, number];
  const end = builder.constant(ignoredLabel, [batch, 1], "i32");
  if (length === 1) return end;
  return builder.concat([builder.slice(labels, [0, 1], [batch, length]), end], 1);
}
