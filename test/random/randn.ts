/** PyTorch's normal numbers, from the generator that webpeft has. */
import { type TorchGenerator, uniform } from "../../src/methods/random/torch.ts";

/** `torch.randn(count)`; agrees with PyTorch to about 2e-7 (its vectorised functions round in f32). */
export function normal(generator: TorchGenerator, count: number): Float32Array {
  return count < 16 ? normalInDouble(generator, count) : normalByGroups(generator, count);
}

function normalByGroups(generator: TorchGenerator, count: number): Float32Array {
  const values = uniform(generator, count);
  for (let first = 0; first + 16 <= count; first += 16) transformGroup(values, first);
  if (count % 16 !== 0) {
    values.set(uniform(generator, 16), count - 16);
    transformGroup(values, count - 16);
  }
  return values;
}

/** Box-Muller in place on 16 uniforms: radii from the first eight, angles from the others. */
function transformGroup(values: Float32Array, first: number): void {
  for (let j = first; j < first + 8; j++) {
    const radius = Math.sqrt(-2 * Math.log(1 - values[j]!));
    const angle = 2 * Math.PI * values[j + 8]!;
    values[j] = radius * Math.cos(angle);
    values[j + 8] = radius * Math.sin(angle);
  }
}

/** 53 random bits (the low ones of two draws) as a number in [0, 1). */
function uniform53(generator: TorchGenerator): number {
  const high = generator.next() & 0x1fffff;
  return (high * 2 ** 32 + generator.next()) * 2 ** -53;
}

function normalInDouble(generator: TorchGenerator, count: number): Float32Array {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const angle = 2 * Math.PI * uniform53(generator);
    const radius = Math.sqrt(-2 * Math.log1p(-uniform53(generator)));
    values[i] = radius * Math.cos(angle);
    if (i + 1 < count) values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}
