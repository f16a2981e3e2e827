/** Rotary position embedding (Su et al. 2021), with the scalings of `rope-config.ts`. */
import type { Builder } from "../ir/builder.ts";
import { vector } from "./lowering.ts";
import { type Module, silent } from "./module.ts";
import { type RopeScaling, type RopeSettings, refused } from "./rope-config.ts";

/** Min(max(x, 0), 1). */
const clamped = (builder: Builder, x: number): number =>
  builder.add("minimum", [builder.add("maximum", [x, builder.zerosLike(x)]), builder.constantLike(x, 1)]);

/** x (1 / factor + share (1 - 1 / factor)). */
function mixed(builder: Builder, x: number, share: number, factor: number): number {
  const part = builder.scale(share, 1 - 1 / factor);
  return builder.mul(x, builder.plus(part, builder.constantLike(share, 1 / factor)));
}

/** Where in the row of frequencies one makes `turns` turns within the original length. */
const placeOf = (turns: number, original: number, dims: number, theta: number): number =>
  (dims * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));

/** Frequencies f32[dims / 2] in radians per position; `last` is one more than the last position. */
function frequencies(builder: Builder, dims: number, { theta, scaling }: RopeSettings, last: number): number {
  const index = builder.cast(builder.iota([Math.ceil(dims / 2)], 0), "f32");
  const plain = builder.add("exp", [builder.scale(index, (-2 * Math.log(theta)) / dims)]);
  switch (scaling.kind) {
    case "default":
      return plain;
    case "linear":
      return builder.scale(plain, 1 / scaling.factor);
    case "llama3": {
      // Share of the plain frequency: 1 where the original length holds `high` turns or more, 0 where `low` or fewer.
      const { low, high, original, factor } = scaling;
      const turns = builder.scale(plain, original / (2 * Math.PI));
      const share = builder.scale(builder.sub(turns, builder.constantLike(turns, low)), 1 / (high - low));
      return mixed(builder, plain, clamped(builder, share), factor);
    }
    case "yarn": {
      const { original, factor, fast, slow, truncate } = scaling;
      const [from, to] = [placeOf(fast, original, dims, theta), placeOf(slow, original, dims, theta)];
      const first = Math.max(truncate ? Math.floor(from) : from, 0);
      const end = Math.min(truncate ? Math.ceil(to) : to, dims - 1);
      const ramp = builder.scale(
        builder.sub(index, builder.constantLike(index, first)),
        1 / (end === first ? 0.001 : end - first),
      );
      const divided = clamped(builder, ramp);
      return mixed(builder, plain, builder.sub(builder.constantLike(divided, 1), divided), factor);
    }
    case "longrope":
      return builder.div(plain, vector(builder, last > scaling.original ? scaling.long : scaling.short));
  }
  return scaling satisfies never;
}

/** Cosines and signed sines, f32[length, width] each, for `length` positions from `first` on. They depend on no input. */
export interface RopeTables {
  readonly cosines: number;
  /** -sin for the first of a pair, sin for the second: the sign of the rotation is in the table. */
  readonly sines: number;
  readonly pairs: NonNullable<RopeSettings["pairs"]>;
}

/** Width of the part of a head that turns. */
export const turnedWidth = (headWidth: number, { fraction }: RopeSettings): number => Math.floor(headWidth * fraction);

/** The module that transformers lists for all ropes of a model. Throws `MODEL-ROPE` when one has divisors for another width. */
export function rotary<N extends string>(
  headWidth: number,
  ropes: Readonly<Record<N, RopeSettings>>,
): Module<(length: number, first: number) => Readonly<Record<N, RopeTables>>> {
  const all = Object.entries<RopeSettings>(ropes);
  for (const [, rope] of all) checkDivisors(rope.scaling, Math.ceil(turnedWidth(headWidth, rope) / 2));
  return {
    ...silent,
    call:
      ({ builder }) =>
      (length, first) =>
        Object.fromEntries(
          all.map(([name, rope]) => [name, ropeTables(builder, length, turnedWidth(headWidth, rope), rope, first)]),
        ) as Record<N, RopeTables>,
  };
}

function checkDivisors(scaling: RopeScaling, count: number): void {
  if (scaling.kind !== "longrope") return;
  for (const name of ["short", "long"] as const)
    if (scaling[name].length !== count)
      throw refused(`${scaling[name].length} divisors of ${count} frequencies`, `${name}_factor`);
}

function ropeTables(builder: Builder, length: number, dims: number, settings: RopeSettings, first: number): RopeTables {
  const { attention, pairs = "halves" } = settings;
  const half = frequencies(builder, dims, settings, first + length);
  const [count] = builder.shape(half) as [number];
  const shape = [length, 2 * count];
  const both = (of: (side: 0 | 1) => number): number => {
    if (pairs === "halves") return builder.concat([of(0), of(1)], 0);
    const columns = ([0, 1] as const).map((side) => builder.reshape(of(side), [count, 1]));
    return builder.reshape(builder.concat(columns, 1), [2 * count]);
  };
  const rows = builder.iota(shape, 0);
  const positions = builder.cast(first === 0 ? rows : builder.plus(rows, builder.constantLike(rows, first)), "f32");
  const angles = builder.mul(
    positions,
    builder.broadcast(
      both(() => half),
      shape,
      [1],
    ),
  );
  const signs = both((side) => builder.constant(side === 0 ? -1 : 1, [count]));
  // Both end in arithmetic, not in a view, so that each is kept as one table.
  return {
    cosines: builder.scale(builder.add("cos", [angles]), attention),
    sines: builder.mul(builder.scale(builder.add("sin", [angles]), attention), builder.broadcast(signs, shape, [1])),
    pairs,
  };
}

/** Elements `from` to `to` of the last axis. */
const slice = (builder: Builder, x: number, from: number, to: number): number => {
  const shape = builder.shape(x);
  const last = shape.length - 1;
  return builder.slice(
    x,
    shape.map((_n, axis) => (axis === last ? from : 0)),
    shape.map((n, axis) => (axis === last ? to : n)),
  );
};

/** Each element in the place of the one that it turns with. */
function swapped(builder: Builder, x: number, pairs: RopeTables["pairs"]): number {
  const shape = builder.shape(x);
  const [last, width] = [shape.length - 1, shape.at(-1)!];
  const [split, half] =
    pairs === "halves" ? [x, width / 2] : [builder.reshape(x, [...shape.slice(0, -1), width / 2, 2]), 1];
  const end = pairs === "halves" ? last : last + 1;
  const parts = [slice(builder, split, half, 2 * half), slice(builder, split, 0, half)];
  return builder.reshape(builder.concat(parts, end), shape);
}

/** Rotates x f32[b, s, ..., width]: x * cos + x swapped * signed sin, one pass over x. */
function rotateWhole(builder: Builder, x: number, { cosines, sines, pairs }: RopeTables): number {
  const shape = builder.shape(x);
  const spread = (table: number): number => builder.broadcast(table, shape, [1, shape.length - 1]);
  const others = swapped(builder, x, pairs);
  return builder.plus(builder.mul(x, spread(cosines)), builder.mul(others, spread(sines)));
}

/** The same of the first part of every head, which the tables are as wide as; the rest stays as it is. */
export function rotate(builder: Builder, x: number, tables: RopeTables): number {
  const [width, whole] = [builder.shape(tables.cosines)[1]!, builder.shape(x).at(-1)!];
  if (width === whole) return rotateWhole(builder, x, tables);
  const rest = slice(builder, x, width, whole);
  return builder.concat([rotateWhole(builder, slice(builder, x, 0, width), tables), rest], builder.shape(x).length - 1);
}
