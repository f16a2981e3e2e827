/** Builtins that switch parts of an update off in training. Drawn once per optimizer step, whatever the micro-batch. */
import { known, tensorValue } from "../dsl/value.ts";
import { type Builtin, type CallContext, makesOperator, makesTensor, makesValue, optional } from "./builtin.ts";
import { logisticNoise, uniformNode } from "./initial.ts";

/** Random streams of these builtins begin here; those of `dropout` and `block_dropout` lie below. */
const gateStreams = 0x3000;

/** 1 with probability 1 - p, else 0, for every entry of a vector. */
function kept(context: CallContext, p: number, size: number): number {
  const b = context.builder();
  const scalars = { ...context.scalars(), sampleOffset: b.constant(0, [], "u32") };
  const draw = uniformNode(b, scalars, [size], context.site, gateStreams + context.ordinal);
  return b.cast(b.add("lt", [b.constantLike(draw, p), draw]), "f32");
}

export const gateBuiltins: readonly Builtin[] = [
  makesTensor(
    "relaxed_bits",
    { logits: "tensor", temperature: optional("number", 1) },
    "Probabilities of bits from their logits [samples, ...]. In training relaxed draws of the bits instead, for every sample its own.",
    ({ logits, temperature }, b, context) => {
      if (!context.situation.sampling) return b.add("sigmoid", [logits]);
      const u = uniformNode(b, context.scalars(), b.shape(logits), context.site, gateStreams + context.ordinal);
      return b.add("sigmoid", [b.scale(b.plus(logits, logisticNoise(b, u)), 1 / temperature)]);
    },
  ),
  makesOperator(
    "per_sample",
    { entries: "tensor", repeat: optional("count", 1) },
    "Diagonal that differs from sample to sample, from entries [samples, n], each of them repeat times. Where weights are merged, a diagonal.",
    ({ entries, repeat }, b, context) => {
      const [samples, n, more] = b.shape(entries);
      if (samples === undefined || n === undefined || more !== undefined)
        throw context.fail(
          "per_sample wants a row for every sample.",
          "[samples, n]",
          `[${b.shape(entries).join(", ")}]`,
        );
      const repeated = b.reshape(b.broadcast(entries, [samples, n, repeat], [0, 1]), [samples, n * repeat]);
      if (context.samples() !== undefined) return b.add("op.gate", [repeated]);
      return b.add("op.diag", [b.reshape(repeated, [n * repeat])]);
    },
  ),
  makesValue(
    "gate",
    { p: "number" },
    "In training: a number that is 0 with probability p, else 1. Otherwise 1.",
    ({ p }, context) => (context.situation.sampling && p > 0 ? tensorValue(kept(context, p, 1)) : known(1)),
  ),
  makesOperator(
    "row_dropout",
    { p: "number", scaled: optional("condition", true) },
    "In training: a diagonal, as large as the site's output, that is 0 with probability p, else 1; scaled: divided by its mean.",
    ({ p, scaled }, b, context) => {
      const size = context.out;
      if (!context.situation.sampling || p === 0) return b.add("op.identity", [], { size });
      const mask = kept(context, p, size);
      if (!scaled) return b.add("op.diag", [mask]);
      // Where every row is dropped nothing is left to scale.
      const count = b.add("maximum", [b.sum(mask, [0]), b.constant(1)]);
      return b.add("op.diag", [b.div(b.scale(mask, size), count)]);
    },
  ),
];
