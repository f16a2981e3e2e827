/** Random numbers: how tensors begin, on the host (torch-compatible streams) and in the graph (our own counter-based draws), and gates of training. */
import type { Builder } from "../../ir/builder.ts";
import { sizeOf } from "../../ir/types.ts";
import { type Distribution, type DrawStream, known, tensorValue } from "../dsl/value.ts";
import { kaimingBound, torchBases } from "../random/projections.ts";
import { roundedToBfloat16, uniform } from "../random/torch.ts";
import {
  type Builtin,
  type CallContext,
  makesDistribution,
  makesOperator,
  makesValue,
  optional,
  type ScalarIds,
} from "./builtin.ts";

type Shape = readonly number[];

const fanIn = (shape: Shape): number => sizeOf(shape.slice(1));

/** Scalars of draws that are made once. */
function atStart(builder: Builder, { seed }: DrawStream): Pick<ScalarIds, "seed" | "step" | "sampleOffset"> {
  const zero = builder.constant(0, [], "u32");
  return { seed, step: zero, sampleOffset: zero };
}

const filled = (value: number): Distribution => ({
  node: (builder, shape) => builder.constant(value, shape),
  values: (shape) => new Float32Array(sizeOf(shape)).fill(value),
});

const uniformWithin = (bounds: (shape: Shape) => readonly [low: number, high: number]): Distribution => ({
  node(builder, shape, stream) {
    const [low, high] = bounds(shape);
    const u = uniformNode(builder, atStart(builder, stream), shape, stream.site, stream.tensor);
    return builder.plus(builder.scale(u, high - low), builder.constantLike(u, low));
  },
});

const drawnByTorch = (draw: (shape: Shape) => Float32Array): Distribution => ({
  values: (shape, bfloat16) => (bfloat16 ? roundedToBfloat16(draw(shape)) : draw(shape)),
});

export const initialBuiltins: readonly Builtin[] = [
  makesDistribution("zeros", {}, "All 0.", () => filled(0)),
  makesDistribution("ones", {}, "All 1.", () => filled(1)),
  makesDistribution("fill", { value: "number" }, "The same number everywhere.", ({ value }) => filled(value)),
  makesDistribution("uniform", { low: "number", high: "number" }, "Uniform between low and high.", ({ low, high }) =>
    uniformWithin(() => [low, high]),
  ),
  makesDistribution(
    "normal",
    { mean: optional("number", 0), deviation: optional("number", 1) },
    "Normal with a mean and a standard deviation.",
    ({ mean, deviation }) => ({
      node(builder, shape, stream) {
        const z = normalNode(builder, atStart(builder, stream), shape, stream.site, stream.tensor);
        return builder.plus(builder.scale(z, deviation), builder.constantLike(z, mean));
      },
    }),
  ),
  makesDistribution(
    "kaiming_uniform",
    { a: optional("number", Math.sqrt(5)) },
    "Uniform within sqrt(6 / ((1 + a^2) fan_in)); fan_in is the product of all axes but the first.",
    ({ a }) =>
      uniformWithin((shape) => {
        const bound = kaimingBound(fanIn(shape), a);
        return [-bound, bound];
      }),
  ),
  makesDistribution(
    "paired",
    { of: "distribution" },
    "A matrix whose columns come in equal pairs, side by side; drawn for half of the columns.",
    ({ of: { node } }) => ({
      node:
        node &&
        ((builder, shape, stream) => {
          const half = [shape[0]!, shape[1]! / 2];
          return builder.reshape(builder.broadcast(node(builder, half, stream), [...half, 2], [0, 1]), shape);
        }),
    }),
  ),
  makesDistribution(
    "torch_kaiming_uniform",
    { stream: "stream", a: optional("number", 0) },
    "kaiming_uniform drawn from a torch-compatible stream, bit for bit; rounded to bfloat16 when the base model is.",
    ({ stream, a }) =>
      drawnByTorch((shape) => {
        const bound = kaimingBound(fanIn(shape), a);
        return uniform(stream, sizeOf(shape), -bound, bound);
      }),
  ),
  makesDistribution(
    "torch_bases",
    { stream: "stream", sparsity: optional("number", 0) },
    "RandLoRA's frozen bases [outer, count, inner], bit for bit: dense, or -1, 0 and 1 with one in sparsity not 0; divided by their deviation.",
    ({ stream, sparsity }) => drawnByTorch((shape) => torchBases(stream, shape as [number, number, number], sparsity)),
  ),
];

/** Numbers of the streams of one tensor: the second serves Box-Muller. */
const secondStream = 0x8000;

/** Standard normal numbers by Box and Muller, from two streams. */
export function normalNode(
  builder: Builder,
  scalars: Pick<ScalarIds, "seed" | "step" | "sampleOffset">,
  shape: readonly number[],
  site: number,
  tensor: number,
): number {
  const draw = (stream: number): number => uniformNode(builder, scalars, shape, site, stream);
  const radius = builder.add("sqrt", [builder.scale(builder.add("log", [draw(tensor)]), -2)]);
  return builder.mul(radius, builder.add("cos", [builder.scale(draw(tensor + secondStream), 2 * Math.PI)]));
}

export function uniformNode(
  builder: Builder,
  { seed, step, sampleOffset }: Pick<ScalarIds, "seed" | "step" | "sampleOffset">,
  shape: readonly number[],
  site: number,
  tensor: number,
): number {
  return builder.add("uniform", [seed, step, sampleOffset], { shape: [...shape], site, tensor });
}

/** Logistic noise from uniform numbers; added to logits before a sigmoid it makes relaxed draws of bits. */
export const logisticNoise = (b: Builder, u: number): number =>
  b.sub(b.add("log", [u]), b.add("log", [b.sub(b.constantLike(u, 1), u)]));

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
