/** Builtins that switch parts of an update off in training. Drawn once per optimizer step, whatever the micro-batch. */
import { known, operatorValue, tensorValue } from "../dsl/value.ts";
import type { Builtin, CallContext } from "./builtin.ts";
import { uniformNode } from "./initial.ts";

/** Random streams of these builtins begin here; those of `dropout` and `block_dropout` lie below. */
const gateStreams = 0x3000;

/** 1 with probability 1 - p, else 0, for every entry of a vector. */
function kept(context: CallContext, p: number, size: number): number {
  const b = context.builder();
  const scalars = { ...context.scalars(), sampleOffset: b.constant(0, [], "u32") };
  const draw = uniformNode(b, scalars, [size], context.site, gateStreams + context.ordinal);
  return b.cast(b.add("lt", [b.constantLike(draw, p), draw]), "f32");
}

/** 1 / (1 + e^-x) of the logits; with noise of the logistic distribution on them, drawn for every sample, a relaxed draw of bits. */
function relaxedBits(context: CallContext, logits: number, temperature: number): number {
  const b = context.builder();
  if (!context.situation.sampling) return b.add("sigmoid", [logits]);
  const u = uniformNode(b, context.scalars(), b.shape(logits), context.site, gateStreams + context.ordinal);
  const noise = b.sub(b.add("log", [u]), b.add("log", [b.sub(b.constantLike(u, 1), u)]));
  return b.add("sigmoid", [b.scale(b.plus(logits, noise), 1 / temperature)]);
}

export const gateBuiltins: readonly Builtin[] = [
  {
    name: "relaxed_bits",
    parameters: [
      { name: "logits", kind: "tensor" },
      { name: "temperature", kind: "number", default: 1 },
    ],
    doc: "Probabilities of bits from their logits [samples, ...]. In training relaxed draws of the bits instead, for every sample its own.",
    call: (context, args) => tensorValue(relaxedBits(context, args.node("logits"), args.number("temperature"))),
  },
  {
    name: "per_sample",
    parameters: [
      { name: "entries", kind: "tensor" },
      { name: "repeat", kind: "count", default: 1 },
    ],
    doc: "Diagonal that differs from sample to sample, from entries [samples, n], each of them repeat times. Where weights are merged, a diagonal.",
    call: (context, args) => {
      const [b, entries, repeat] = [context.builder(), args.node("entries"), args.number("repeat")];
      const [samples, n, more] = b.shape(entries);
      if (samples === undefined || n === undefined || more !== undefined)
        throw context.fail(
          "per_sample wants a row for every sample.",
          "[samples, n]",
          `[${b.shape(entries).join(", ")}]`,
        );
      const repeated = b.reshape(b.broadcast(entries, [samples, n, repeat], [0, 1]), [samples, n * repeat]);
      if (context.samples() !== undefined) return operatorValue(b.add("op.gate", [repeated]));
      return operatorValue(b.add("op.diag", [b.reshape(repeated, [n * repeat])]));
    },
  },
  {
    name: "gate",
    parameters: [{ name: "p", kind: "number" }],
    doc: "In training: a number that is 0 with probability p, else 1. Otherwise 1.",
    call: (context, args) => {
      const p = args.number("p");
      return context.situation.sampling && p > 0 ? tensorValue(kept(context, p, 1)) : known(1);
    },
  },
  {
    name: "row_dropout",
    parameters: [
      { name: "p", kind: "number" },
      { name: "scaled", kind: "condition", default: true },
    ],
    doc: "In training: a diagonal, as large as the site's output, that is 0 with probability p, else 1; scaled: divided by its mean.",
    call: (context, args) => {
      const [b, p, size] = [context.builder(), args.number("p"), context.out];
      if (!context.situation.sampling || p === 0) return operatorValue(b.add("op.identity", [], { size }));
      const mask = kept(context, p, size);
      if (!args.condition("scaled")) return operatorValue(b.add("op.diag", [mask]));
      // Where every row is dropped nothing is left to scale.
      const count = b.add("maximum", [b.sum(mask, [0]), b.constant(1)]);
      return operatorValue(b.add("op.diag", [b.div(b.scale(mask, size), count)]));
    },
  },
];
