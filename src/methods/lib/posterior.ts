/** Builtins that draw weights from a posterior, once per forward pass of a micro-batch or per prediction, and add to the loss of a step. */
import type { Builder } from "../../ir/builder.ts";
import { absent, tensorValue } from "../dsl/value.ts";
import { type Builtin, type CallContext, makesTensor, makesValue, type ScalarIds } from "./builtin.ts";
import { logisticNoise, normalNode, uniformNode } from "./initial.ts";

/** Draws of pass t under a seed of the config: the same on every device and after a resume. */
function passScalars(
  b: Builder,
  context: CallContext,
  seed: number,
): Pick<ScalarIds, "seed" | "step" | "sampleOffset"> {
  const constant = (x: number): number => b.constant(x, [], "u32");
  return { seed: constant(seed), step: context.scalars().pass, sampleOffset: constant(0) };
}

export const posteriorBuiltins: readonly Builtin[] = [
  makesTensor(
    "drawn_normal",
    { mean: "tensor", deviation: "tensor", seed: "number", stream: "number" },
    "In training and for predictions: normal numbers, drawn anew in every pass; otherwise their mean. stream keeps the draws of a site apart.",
    ({ mean, deviation, seed, stream }, b, context) => {
      if (!context.situation.sampling && context.situation.purpose !== "predict") return mean;
      const normal = normalNode(b, passScalars(b, context, seed), b.shape(mean), context.site, stream);
      return b.plus(mean, b.mul(deviation, normal));
    },
  ),
  makesTensor(
    "drawn_bits",
    { logits: "tensor", temperature: "number", seed: "number", stream: "number" },
    "Probabilities of bits from their logits; in training relaxed draws, for predictions 0 or 1, drawn anew in every pass.",
    ({ logits, temperature, seed, stream }, b, context) => {
      if (!context.situation.sampling && context.situation.purpose !== "predict") return b.add("sigmoid", [logits]);
      const u = uniformNode(b, passScalars(b, context, seed), b.shape(logits), context.site, stream);
      if (context.situation.purpose === "predict") return b.cast(b.compare("lt", u, b.add("sigmoid", [logits])), "f32");
      return b.add("sigmoid", [b.scale(b.plus(logits, logisticNoise(b, u)), 1 / temperature)]);
    },
  ),
  makesValue(
    "in_training",
    { x: "tensor" },
    "What is added to the loss of training steps only: not in evaluation, and not where gradients are looked at outside of a step.",
    ({ x }, context) =>
      context.situation.purpose === "train"
        ? tensorValue(context.builder().mul(x, context.scalars().training))
        : absent,
  ),
];
