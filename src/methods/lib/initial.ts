/** How tensors begin: distributions, their values on the host (torch-compatible streams) and in the graph (our own counter-based draws). */
import type { Builder } from "../../ir/builder.ts";
import { sizeOf } from "../../ir/types.ts";
import type { Distribution } from "../dsl/value.ts";
import { kaimingBound, torchBases } from "../random/projections.ts";
import { roundedToBfloat16, uniform } from "../random/torch.ts";
import { type Builtin, makesDistribution, optional, type ScalarIds } from "./builtin.ts";

export const initialBuiltins: readonly Builtin[] = [
  makesDistribution("zeros", {}, "All 0.", () => ({ kind: "fill", value: 0 })),
  makesDistribution("ones", {}, "All 1.", () => ({ kind: "fill", value: 1 })),
  makesDistribution("fill", { value: "number" }, "The same number everywhere.", ({ value }) => ({
    kind: "fill",
    value,
  })),
  makesDistribution("uniform", { low: "number", high: "number" }, "Uniform between low and high.", (given) => ({
    kind: "uniform",
    ...given,
  })),
  makesDistribution(
    "normal",
    { mean: optional("number", 0), deviation: optional("number", 1) },
    "Normal with a mean and a standard deviation.",
    (given) => ({ kind: "normal", ...given }),
  ),
  makesDistribution(
    "kaiming_uniform",
    { a: optional("number", Math.sqrt(5)) },
    "Uniform within sqrt(6 / ((1 + a^2) fan_in)); fan_in is the product of all axes but the first.",
    (given) => ({ kind: "kaiming_uniform", ...given }),
  ),
  makesDistribution(
    "paired",
    { of: "distribution" },
    "A matrix whose columns come in equal pairs, side by side; drawn for half of the columns.",
    (given) => ({ kind: "paired", ...given }),
  ),
  makesDistribution(
    "torch_kaiming_uniform",
    { stream: "stream", a: optional("number", 0) },
    "kaiming_uniform drawn from a torch-compatible stream, bit for bit; rounded to bfloat16 when the base model is.",
    (given) => ({ kind: "torch_kaiming_uniform", ...given }),
  ),
  makesDistribution(
    "torch_bases",
    { stream: "stream", sparsity: optional("number", 0) },
    "RandLoRA's frozen bases [outer, count, inner], bit for bit: dense, or -1, 0 and 1 with one in sparsity not 0; divided by their deviation.",
    (given) => ({ kind: "torch_bases", ...given }),
  ),
];

const fanIn = (shape: readonly number[]): number => sizeOf(shape.slice(1));

/** Values on the host, or undefined when the distribution is drawn by our own generator in the graph. */
export function hostValues(d: Distribution, shape: readonly number[], bfloat16: boolean): Float32Array | undefined {
  if (d.kind === "fill") return new Float32Array(sizeOf(shape)).fill(d.value);
  const values = drawnOnHost(d, shape);
  return values !== undefined && bfloat16 ? roundedToBfloat16(values) : values;
}

/** Whether a distribution is drawn from a torch-compatible stream, which happens on the host. */
export const isTorchDraw = (d: Distribution): boolean => d.kind === "torch_kaiming_uniform" || d.kind === "torch_bases";

function drawnOnHost(d: Distribution, shape: readonly number[]): Float32Array | undefined {
  if (d.kind === "torch_bases") return torchBases(d.stream, shape as [number, number, number], d.sparsity);
  if (d.kind !== "torch_kaiming_uniform") return undefined;
  const bound = kaimingBound(fanIn(shape), d.a);
  return uniform(d.stream, sizeOf(shape), -bound, bound);
}

/** Numbers of the streams of one tensor: the second serves Box-Muller. */
const secondStream = 0x8000;

/** A node with the initial values; draws depend on (seed, site, tensor, element) alone. */
export function initialNode(
  builder: Builder,
  d: Distribution,
  shape: readonly number[],
  stream: { readonly site: number; readonly tensor: number; readonly seed: number },
): number {
  const zero = builder.constant(0, [], "u32");
  const scalars = { seed: stream.seed, step: zero, sampleOffset: zero };
  const draw = (tensor: number): number => uniformNode(builder, scalars, shape, stream.site, tensor);
  switch (d.kind) {
    case "fill":
      return builder.constant(d.value, shape);
    case "uniform":
      return between(builder, draw(stream.tensor), d.low, d.high);
    case "kaiming_uniform": {
      const bound = kaimingBound(fanIn(shape), d.a);
      return between(builder, draw(stream.tensor), -bound, bound);
    }
    case "normal": {
      const z = normalNode(builder, scalars, shape, stream.site, stream.tensor);
      return builder.plus(builder.scale(z, d.deviation), builder.constantLike(z, d.mean));
    }
    case "paired": {
      const [rows, columns] = [shape[0]!, shape[1]! / 2];
      const half = initialNode(builder, d.of, [rows, columns], stream);
      return builder.reshape(builder.broadcast(half, [rows, columns, 2], [0, 1]), shape);
    }
    case "torch_bases":
    case "torch_kaiming_uniform":
      throw new Error("a torch-compatible draw is made on the host");
  }
}

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

function between(builder: Builder, u: number, low: number, high: number): number {
  return builder.plus(builder.scale(u, high - low), builder.constantLike(u, low));
}

/** Logistic noise from uniform numbers; added to logits before a sigmoid it makes relaxed draws of bits. */
export const logisticNoise = (b: Builder, u: number): number =>
  b.sub(b.add("log", [u]), b.add("log", [b.sub(b.constantLike(u, 1), u)]));
