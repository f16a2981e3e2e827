/** Frozen matrices that PEFT rebuilds from a seed in the config, bit for bit. */
import { roundedToBfloat16, type TorchGenerator, uniform, uniformBfloat16 } from "./torch.ts";

/** `kaiming_uniform_(a)`: the bound of the uniform distribution. Source: `torch.nn.init`. */
export const kaimingBound = (fanIn: number, a: number): number => {
  const gain = Math.sqrt(2 / (1 + a * a));
  return Math.sqrt(3) * (gain / Math.sqrt(fanIn));
};

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
