/** Functions that printed kernels call. */

/** Threefry-2x32, 20 rounds; the first word of the block `counter` under the key threefry(seed, step, site, tensor), in (0, 1). */
export const threefryText = `
fn threefry(k0: u32, k1: u32, c0: u32, c1: u32) -> vec2u {
  let keys = array<u32, 3>(k0, k1, k0 ^ k1 ^ 0x1bd11bdau);
  var turns = array<vec4u, 2>(vec4u(13u, 15u, 26u, 6u), vec4u(17u, 29u, 16u, 24u));
  var x = vec2u(c0 + k0, c1 + k1);
  for (var round = 0u; round < 5u; round++) {
    for (var i = 0u; i < 4u; i++) {
      let turn = turns[round & 1u][i];
      x.x += x.y;
      x.y = ((x.y << turn) | (x.y >> (32u - turn))) ^ x.x;
    }
    x += vec2u(keys[(round + 1u) % 3u], keys[(round + 2u) % 3u] + round + 1u);
  }
  return x;
}
fn uniform_number(seed: u32, step: u32, site: u32, tensor: u32, counter: u32) -> f32 {
  let key = threefry(seed, step, site, tensor);
  return (f32(threefry(key.x, key.y, counter, 0u).x >> 9u) + 0.5) * 1.1920928955078125e-7;
}`;

/** The error function of four numbers, within 2e-7 (Abramowitz and Stegun 7.1.26). */
export const erfText = `
fn erf_number(x: vec4f) -> vec4f {
  let t = 1.0 / (1.0 + 0.3275911 * abs(x));
  let p = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return sign(x) * (1.0 - p * exp(-x * x));
}`;

/**
 * Sine (quarter 0) and cosine (quarter 1) of four numbers, to f32 accuracy for |x| < 1e5. WGSL's own functions are only good to 2^-11, and
 * undefined outside of [-pi, pi], where the angles of rotary embeddings are. Reduction by pi/2 in three parts, polynomials of Cephes.
 */
export const sineText = `
fn sine(x: vec4f, quarter: i32) -> vec4f {
  let k = round(x * 0.6366197723675814);
  let r = ((x - k * 1.5703125) - k * 4.837512969970703125e-4) - k * 7.549789952953e-8;
  let z = r * r;
  let s = ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * r + r;
  let c = ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0;
  let q = vec4i(k) + quarter;
  let y = select(s, c, (q & vec4i(1)) == vec4i(1));
  return select(y, -y, (q & vec4i(2)) == vec4i(2));
}`;

/** One element of a binding of vectors. */
export const oneOfFourText = (binding: string, element: string): string => `
fn ${binding}_one(i: u32) -> ${element} { return ${binding}[i / 4u][i % 4u]; }`;

type Width = 1 | 2 | 4;

/** A number of 16 bits; a word holds two, the first in the low half. */
export function onePackedText(binding: string, width: Width, dtype: "bf16" | "f16"): string {
  const word = width === 1 ? `${binding}[i / 2u]` : `${binding}[i / ${2 * width}u][(i / 2u) % ${width}u]`;
  const value =
    dtype === "f16"
      ? "unpack2x16float(word)[i & 1u]"
      : "bitcast<f32>(select(word << 16u, word & 0xffff0000u, (i & 1u) == 1u))";
  return `
fn ${binding}_${dtype}(i: u32) -> f32 {
  let word = ${word};
  return ${value};
}`;
}

/** Four numbers of 16 bits, the first at a multiple of four. */
export function fourPackedText(binding: string, width: Width, dtype: "bf16" | "f16"): string {
  const words = {
    1: `vec2u(${binding}[i / 2u], ${binding}[i / 2u + 1u])`,
    2: `${binding}[i / 4u]`,
    4: `select(${binding}[i / 8u].xy, ${binding}[i / 8u].zw, (i & 4u) != 0u)`,
  };
  const value =
    dtype === "f16"
      ? "vec4f(unpack2x16float(words.x), unpack2x16float(words.y))"
      : "bitcast<vec4f>(vec4u(words.x << 16u, words.x & 0xffff0000u, words.y << 16u, words.y & 0xffff0000u))";
  return `
fn ${binding}_${dtype}x4(i: u32) -> vec4f {
  let words = ${words[width]};
  return ${value};
}`;
}
