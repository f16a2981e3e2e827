/**
 * PyTorch's CPU generator, bit for bit: MT19937 and the draws that adapter files rely on. Source: PyTorch 2.13
 * (`aten/src/ATen/core/MT19937RNGEngine.h`, `DistributionTemplates.h`, `native/cpu/RangeFactories`, `TensorFactories.cpp`).
 */

const stateLength = 624;

/** The constant from which a generator starts that was never seeded (its low 32 bits count). */
const unseeded = 67280421310721;

/** A stream of uint32 numbers; every draw below takes its numbers from one, in PyTorch's order. */
export interface TorchGenerator {
  /** The next 32 random bits, as a number in [0, 2^32). */
  next(): number;
}

function twist(state: Uint32Array): void {
  for (let i = 0; i < stateLength; i++) {
    const y = (state[i]! & 0x80000000) | (state[(i + 1) % stateLength]! & 0x7fffffff);
    state[i] = state[(i + 397) % stateLength]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
  }
}

/**
 * `torch.Generator().manual_seed(seed)`. Only the low 32 bits of the seed count; a negative seed is its two's complement.
 * `seed` is a whole number that a float64 holds exactly.
 */
export function torchGenerator(seed: number = unseeded): TorchGenerator {
  const state = new Uint32Array(stateLength);
  state[0] = ((seed % 2 ** 32) + 2 ** 32) % 2 ** 32;
  for (let i = 1; i < stateLength; i++) {
    const before = state[i - 1]! ^ (state[i - 1]! >>> 30);
    state[i] = Math.imul(1812433253, before) + i;
  }
  let index = stateLength;
  return {
    next() {
      if (index === stateLength) {
        twist(state);
        index = 0;
      }
      let y = state[index++]!;
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      return (y ^ (y >>> 18)) >>> 0;
    },
  };
}

/** 24 random bits as a number in [0, 1). */
const uniform24 = (generator: TorchGenerator): number => (generator.next() & 0xffffff) * 2 ** -24;

/** `torch.empty(count).uniform_(low, high)`: one rounding to f32, as a fused multiply-add has it. */
export function uniform(generator: TorchGenerator, count: number, low = 0, high = 1): Float32Array {
  const low32 = Math.fround(low);
  const width = Math.fround(Math.fround(high) - low32);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = uniform24(generator) * width + low32;
  return values;
}

/** The nearest bfloat16 of every value, ties to even, as f32. */
export function roundedToBfloat16(values: Float32Array): Float32Array {
  const rounded = values.slice();
  const bits = new Uint32Array(rounded.buffer);
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i]!;
    if ((b & 0x7fffffff) <= 0x7f800000) bits[i] = (b + 0x7fff + ((b >>> 16) & 1)) & 0xffff0000;
  }
  return rounded;
}

/** `torch.empty(count, dtype=torch.bfloat16).uniform_(low, high)`, as f32 values that bfloat16 holds exactly. */
export function uniformBfloat16(generator: TorchGenerator, count: number, low: number, high: number): Float32Array {
  const ends = roundedToBfloat16(Float32Array.of(low, high));
  return roundedToBfloat16(uniform(generator, count, low, high)).map((value) => (value >= ends[1]! ? ends[0]! : value));
}
