/** Attention with linear biases (Press, Smith and Lewis 2022): scores that grow with the place of a key, by a slope of each head. */
import type { Builder } from "../ir/builder.ts";
import { vector } from "./lowering.ts";
import type { Sequence } from "./sequence.ts";

export interface AlibiScores {
  readonly kind: "alibi";
  /** Factor of what is added. */
  readonly scale: number;
  /** Products of slopes and places are rounded to bf16, as Falcon does. */
  readonly rounded: boolean;
}

/** The slopes of heads: a geometric row, and every other number of the next finer one for what is beyond a power of two. */
function alibiSlopes(heads: number): readonly number[] {
  const even = 2 ** Math.floor(Math.log2(heads));
  const power = (count: number, exponent: number): number =>
    Math.fround(Math.fround(2 ** -(2 ** (3 - Math.log2(count)))) ** exponent);
  return Array.from({ length: heads }, (_unused, head) =>
    head < even ? power(even, head + 1) : power(2 * even, 2 * (head - even) + 1),
  );
}

/** The number of 8 significant bits that is nearest, the even one of two. */
function toBfloat16(x: number): number {
  const bits = new Uint32Array(new Float32Array([x]).buffer);
  bits[0] = (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(bits.buffer)[0]!;
}

/** f32[b, n, g, s, t] for scores of queries f32[b, s, n, g, d]. */
export function alibiScores(
  builder: Builder,
  { scale, rounded }: AlibiScores,
  sequence: Sequence,
  [batch, length, keyHeads, groups]: readonly number[],
): number {
  const heads = keyHeads! * groups!;
  const places = sequence.keyPlaces();
  const [keys, rows] = [builder.shape(places).at(-1)!, builder.shape(places).slice(0, -1)];
  const slopes = alibiSlopes(heads).map((slope) => (rounded ? toBfloat16(slope) : slope));
  const wide = [...rows, heads, keys];
  const products = builder.mul(
    builder.broadcast(vector(builder, slopes), wide, [rows.length]),
    builder.broadcast(places, wide, rows.length === 0 ? [1] : [0, 2]),
  );
  const range = [Math.min(...slopes), Math.max(...slopes) * keys] as const;
  const exact = rounded ? roundedToBfloat16(builder, products, range) : products;
  const apart = builder.reshape(builder.scale(exact, scale), [...rows, keyHeads!, groups!, keys]);
  const shape = [batch!, keyHeads!, groups!, length!, keys];
  return builder.broadcast(apart, shape, rows.length === 0 ? [1, 2, 4] : [0, 1, 2, 4]);
}

/** The nearest numbers of 8 significant bits, of two the even one, to numbers that are 0 or lie in a range of positive ones. */
function roundedToBfloat16(builder: Builder, x: number, [low, high]: readonly [number, number]): number {
  const like = (value: number): number => builder.constantLike(x, value);
  const first = Math.floor(Math.log2(low));
  let step = like(2 ** (first - 7));
  for (let power = first + 1; power <= Math.floor(Math.log2(high)); power++) {
    const isBelow = builder.compare("lt", x, like(2 ** power));
    step = builder.select(isBelow, step, like(2 ** (power - 7)));
  }
  const steps = builder.div(x, step);
  const whole = builder.add("floor", [steps]);
  const rest = builder.sub(steps, whole);
  const half = builder.scale(whole, 0.5);
  // Half a step goes to the even side: up from odd numbers, down from others.
  const goesUp = builder.select(
    builder.compare("lt", builder.add("floor", [half]), half),
    builder.cast(builder.compare("le", like(0.5), rest), "f32"),
    builder.cast(builder.compare("lt", like(0.5), rest), "f32"),
  );
  return builder.mul(builder.plus(whole, goesUp), step);
}
