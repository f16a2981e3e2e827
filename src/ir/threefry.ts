/** Threefry-2x32 with 20 rounds (Salmon et al. 2011): the one random generator of our own draws. */

const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const;
const rotateLeft = (x: number, by: number): number => (x << by) | (x >>> (32 - by));

/** The pair of uint32 for key (k0, k1) and counter (c0, c1). */
export function threefry(k0: number, k1: number, c0: number, c1: number): [number, number] {
  const keys = [k0 | 0, k1 | 0, k0 ^ k1 ^ 0x1bd11bda] as const;
  let x0 = (c0 + keys[0]) | 0;
  let x1 = (c1 + keys[1]) | 0;
  for (let i = 0; i < 20; i++) {
    x0 = (x0 + x1) | 0;
    x1 = rotateLeft(x1, rotations[i % 8]!) ^ x0;
    if (i % 4 === 3) {
      const j = (i + 1) / 4;
      x0 = (x0 + keys[j % 3]!) | 0;
      x1 = (x1 + keys[(j + 1) % 3]! + j) | 0;
    }
  }
  return [x0 >>> 0, x1 >>> 0];
}

/** A uint32 as a float in the open interval (0, 1), exact in f32. */
export const openUniform = (r: number): number => ((r >>> 9) + 0.5) * 2 ** -23;

/** Two stream numbers and (seed, step) give the key of a tensor's stream; see `uniform`. */
export const streamKey = (seed: number, step: number, site: number, tensorNumber: number): [number, number] =>
  threefry(seed, step, site, tensorNumber);
