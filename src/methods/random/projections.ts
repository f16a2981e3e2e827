/** Frozen matrices and index sets that PEFT rebuilds from a seed in the config, bit for bit. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { randomPermutation } from "./permutation.ts";
import { roundedToBfloat16, type TorchGenerator, torchGenerator, uniform, uniformBfloat16 } from "./torch.ts";

/** `kaiming_uniform_(a)`: the bound of the uniform distribution. Source: `torch.nn.init`. */
export const kaimingBound = (fanIn: number, a: number): number => {
  const gain = Math.sqrt(2 / (1 + a * a));
  return Math.sqrt(3) * (gain / Math.sqrt(fanIn));
};

/** VeRA's `vera_A` [rank, widestIn] and `vera_B` [widestOut, rank], drawn in this order from one stream. */
export function veraProjections(
  key: number,
  rank: number,
  widestIn: number,
  widestOut: number,
): { A: Float32Array; B: Float32Array } {
  const generator = torchGenerator(key);
  const boundA = kaimingBound(widestIn, 0);
  const A = uniform(generator, rank * widestIn, -boundA, boundA);
  const boundB = kaimingBound(rank, 0);
  return { A, B: uniform(generator, widestOut * rank, -boundB, boundB) };
}

export interface RandloraShape {
  readonly rank: number;
  /** The smaller and the larger of the widest input and the widest output over all targets. */
  readonly smaller: number;
  readonly larger: number;
}

/** How RandLoRA's bases are drawn: dense ones in bfloat16, ternary ones in f32. */
export type RandloraKind = "dense" | "sparse" | "very_sparse";

/** RandLoRA's `randlora_A` [rank, 1, smaller] and `randlora_B` [larger, bases, rank] with bases = ceil(smaller / rank). */
export function randloraProjections(
  key: number,
  shape: RandloraShape,
  kind: RandloraKind,
): { A: Float32Array; B: Float32Array; bases: number } {
  const generator = torchGenerator(key);
  const bases = Math.ceil(shape.smaller / shape.rank);
  const sparsity = { dense: 0, sparse: 3, very_sparse: Math.sqrt(shape.smaller) }[kind];
  const A = torchBases(generator, [shape.rank, 1, shape.smaller], sparsity);
  return { A, B: torchBases(generator, [shape.larger, bases, shape.rank], sparsity), bases };
}

/**
 * Bases [outer, count, inner]. Dense ones (sparsity 0) are drawn one after the other in bfloat16, within 1 / sqrt(inner); ternary ones at
 * once in storage order. Both are divided by their standard deviation.
 */
export function torchBases(
  generator: TorchGenerator,
  [outer, count, inner]: readonly [number, number, number],
  sparsity: number,
): Float32Array {
  if (sparsity > 0) return ternary(uniform(generator, outer * count * inner), sparsity);
  const bound = kaimingBound(inner, Math.sqrt(5));
  const bases = new Float32Array(outer * count * inner);
  for (let base = 0; base < count; base++) {
    const block = uniformBfloat16(generator, outer * inner, -bound, bound);
    for (let row = 0; row < outer; row++) {
      bases.set(block.subarray(row * inner, (row + 1) * inner), (row * count + base) * inner);
    }
  }
  return normalisedBfloat16(bases);
}

/** -1, 0 or 1 with probabilities 1/2s, 1 - 1/s, 1/2s, divided by the standard deviation. */
function ternary(values: Float32Array, sparsity: number): Float32Array {
  const lower = 1 / (2 * sparsity);
  const signs = values.map((u) => (u < lower ? -1 : u > 1 - lower ? 1 : 0));
  return dividedBy(signs, Math.fround(deviation(signs)));
}

const normalisedBfloat16 = (values: Float32Array): Float32Array => {
  const divisor = roundedToBfloat16(Float32Array.of(deviation(values)))[0]!;
  return roundedToBfloat16(dividedBy(values, divisor));
};

const dividedBy = (values: Float32Array, divisor: number): Float32Array => values.map((value) => value / divisor);

/** The unbiased standard deviation over all entries. */
function deviation(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  return Math.sqrt(squares / (values.length - 1));
}

/** FourierFT's spectrum positions for a weight [out, in]: rows u and columns v of the `count` trained entries. */
export function fourierPositions(
  seed: number,
  out: number,
  in_: number,
  count: number,
): { rows: Int32Array; columns: Int32Array } {
  const places = randomPermutation(torchGenerator(seed), out * in_, count);
  const rows = Int32Array.from(places, (place) => Math.floor(place / in_));
  const columns = Int32Array.from(places, (place, k) => place - rows[k]! * in_);
  return { rows, columns };
}

/**
 * SHiRA's sorted flat positions in a weight [out, in] for its random mask; a null seed is PyTorch's constant.
 * Throws METHOD-CONSTRAINT when the rank asks for more entries than there are.
 */
export function shiraPositions(seed: number | null, out: number, in_: number, rank: number): Float64Array {
  const count = rank * (out + in_);
  if (count > out * in_) {
    throw new WebpeftError("METHOD-CONSTRAINT", {
      message:
        `The set rank ${rank} results in more shira params than the total number of params in the base layer ` +
        `${out * in_} and this is not allowed.`,
      where: "r",
    });
  }
  return randomPermutation(torchGenerator(seed ?? undefined), out * in_, count).sort();
}
