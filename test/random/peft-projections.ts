/** Frozen matrices and index sets of whole methods, drawn in PEFT's order from one stream. */
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import { randomPermutation } from "../../src/methods/random/permutation.ts";
import { kaimingBound, torchBases } from "../../src/methods/random/projections.ts";
import { torchGenerator, uniform } from "../../src/methods/random/torch.ts";

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
