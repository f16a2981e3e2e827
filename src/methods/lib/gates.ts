/** Builtins that switch parts of an update off in training. Drawn once per optimizer step, whatever the micro-batch. */
import { known, tensorValue } from "../dsl/value.ts";
import { type Builtin, type CallContext, makesOperator, makesValue, optional } from "./builtin.ts";
import { uniformNode } from "./initial.ts";

/** Random streams of these builtins begin here; those of `dropout` and `block_dropout` lie below. */
export const gateStreams = 0x3000;

/** 1 with probability 1 - p, else 0, for every entry of a vector. */
function kept(context: CallContext, p: number, size: number): number {
  const b = context.builder();
  const scalars = { ...context.scalars(), sampleOffset: b.constant(0, [], "u32") };
  const draw = uniformNode(b, scalars, [size], context.site, gateStreams + context.ordinal);
  return b.cast(b.add("lt", [b.constantLike(draw, p), draw]), "f32");
}

export const gateBuiltins: readonly Builtin[] = [
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
