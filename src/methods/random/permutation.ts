/** The first places of `torch.randperm(N)` in O(count) memory. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { TorchGenerator } from "./torch.ts";

/** From this length on PyTorch shuffles with 64-bit draws. */
export const longPermutation = Math.floor((2 ** 32 - 1) / 20);

/** The longest permutation whose 64-bit remainders stay exact in float64. */
const longestPermutation = 2 ** 37;

/**
 * `torch.randperm(length)[:count]`. Takes `count` draws below `longPermutation`; above it all `length` steps are
 * needed (two draws each), because a late step may change an early place.
 * Throws METHOD-RANDOM-RANGE when the counts make no sense.
 */
export function randomPermutation(generator: TorchGenerator, length: number, count: number = length): Float64Array {
  if (
    !Number.isInteger(length) ||
    !Number.isInteger(count) ||
    count < 0 ||
    count > length ||
    length > longestPermutation
  ) {
    throw new WebpeftError("METHOD-RANDOM-RANGE", {
      message: "A random selection needs a count between 0 and the number of places.",
      expected: `0 <= count <= length <= ${longestPermutation}`,
      got: `count ${count}, length ${length}`,
    });
  }
  return length < longPermutation ? swapped(generator, length, count) : insideOut(generator, length, count);
}

/** Fisher-Yates from the front; only places that were touched are remembered. */
function swapped(generator: TorchGenerator, length: number, count: number): Float64Array {
  const moved = new Map<number, number>();
  const result = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    // The last place is not drawn for: PyTorch stops at length - 1.
    const other = i < length - 1 ? i + (generator.next() % (length - i)) : i;
    result[i] = moved.get(other) ?? other;
    moved.set(other, moved.get(i) ?? i);
    moved.delete(i);
  }
  return result;
}

/** The inside-out shuffle; places from `count` on are never read by those before, so they are not kept. */
export function insideOut(generator: TorchGenerator, length: number, count: number): Float64Array {
  const result = new Float64Array(count);
  for (let i = 0; i < length; i++) {
    const high = generator.next();
    const place = remainder64(high, generator.next(), i + 1);
    if (i < count) result[i] = result[place]!;
    if (place < count) result[place] = i;
  }
  return result;
}

/** `(high * 2^32 + low) mod divisor`, in two steps of 16 bits so that every product is exact. */
function remainder64(high: number, low: number, divisor: number): number {
  const first = remainder(remainder(high, divisor) * 65536 + (low >>> 16), divisor);
  return remainder(first * 65536 + (low & 0xffff), divisor);
}

/** `value mod divisor` for whole numbers below 2^53; faster than `%`, which is slow on large doubles. */
function remainder(value: number, divisor: number): number {
  const rest = value - Math.floor(value / divisor) * divisor;
  if (rest < 0) return rest + divisor;
  return rest >= divisor ? rest - divisor : rest;
}
