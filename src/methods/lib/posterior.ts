/** Builtins that draw weights from a posterior, once per forward pass of a micro-batch or per prediction, and add to the loss of a step. */
import type { Builder } from "../../ir/builder.ts";
import { absent, tensorValue } from "../dsl/value.ts";
import type { Builtin, CallContext, ScalarIds } from "./builtin.ts";
import { normalNode, uniformNode } from "./initial.ts";

/** Draws of pass t under a seed of the config: the same on every device and after a resume. */
function passScalars(
  b: Builder,
  context: CallContext,
  seed: number,
): Pick<ScalarIds, "seed" | "step" | "sampleOffset"> {
  const constant = (x: number): number => b.constant(x, [], "u32");
  return { seed: constant(seed), step: context.scalars().pass, sampleOffset: constant(0) };
}

/** Bits drawn from their probabilities: relaxed in training, 0 or 1 for predictions. */
function drawnBits(context: CallContext, logits: number, temperature: number, seed: number, stream: number): number {
  const b = context.builder();
  if (!context.situation.sampling && context.situation.purpose !== "predict") return b.add("sigmoid", [logits]);
  const u = uniformNode(b, passScalars(b, context, seed), b.shape(logits), context.site, stream);
  if (context.situation.purpose === "predict") return b.cast(b.compare("lt", u, b.add("sigmoid", [logits])), "f32");
  const noise = b.sub(b.add("log", [u]), b.add("log", [b.sub(b.constantLike(u, 1), u)]));
  return b.add("sigmoid", [b.scale(b.plus(logits, noise), 1 / temperature)]);
}

export const posteriorBuiltins: readonly Builtin[] = [
  {
    name: "drawn_normal",
    parameters: [
      { name: "mean", kind: "tensor" },
      { name: "deviation", kind: "tensor" },
      { name: "seed", kind: "number" },
      { name: "stream", kind: "number" },
    ],
    doc: "In training and for predictions: normal numbers, drawn anew in every pass; otherwise their mean. stream keeps the draws of a site apart.",
    call: (context, args) => {
      const [mean, deviation] = [args.node("mean"), args.node("deviation")];
      if (!context.situation.sampling && context.situation.purpose !== "predict") return tensorValue(mean);
      const b = context.builder();
      const scalars = passScalars(b, context, args.number("seed"));
      const normal = normalNode(b, scalars, b.shape(mean), context.site, args.number("stream"));
      return tensorValue(b.plus(mean, b.mul(deviation, normal)));
    },
  },
  {
    name: "drawn_bits",
    parameters: [
      { name: "logits", kind: "tensor" },
      { name: "temperature", kind: "number" },
      { name: "seed", kind: "number" },
      { name: "stream", kind: "number" },
    ],
    doc: "Probabilities of bits from their logits; in training relaxed draws, for predictions 0 or 1, drawn anew in every pass.",
    call: (context, args) =>
      tensorValue(
        drawnBits(context, args.node("logits"), args.number("temperature"), args.number("seed"), args.number("stream")),
      ),
  },
  {
    name: "in_training",
    parameters: [{ name: "x", kind: "tensor" }],
    doc: "What is added to the loss of training steps only: not in evaluation, and not where gradients are looked at outside of a step.",
    call: (context, args) =>
      context.situation.purpose === "train"
        ? tensorValue(context.builder().mul(args.node("x"), context.scalars().training))
        : absent,
  },
];
