/** A matrix of few entries, by their places. */
import type { Builder } from "../../ir/builder.ts";
import { type Builtin, type CallContext, makesOperator, makesTensor } from "./builtin.ts";

/**
 * For every number 0 .. count - 1 its place in `keys` i32[K] (increasing, all different), or K where it is not there. A binary search
 * without branches: the place grows by ever smaller powers of two while the key before it is below the number.
 */
function placesOf(b: Builder, keys: number, count: number): number {
  const length = b.shape(keys)[0]!;
  const number = b.iota([count], 0);
  const whole = (n: number): number => b.constant(n, [count], "i32");
  const keyAt = (place: number): number => b.add("gather", [keys, b.add("minimum", [place, whole(length - 1)])]);
  let place = whole(0);
  for (let step = 2 ** Math.floor(Math.log2(length)); step >= 1; step /= 2) {
    const before = b.add("add", [place, whole(step - 1)]);
    const below = b.add("and", [b.add("lt", [before, whole(length)]), b.add("lt", [keyAt(before), number])]);
    place = b.add("add", [place, b.add("mul", [b.cast(below, "i32"), whole(step)])]);
  }
  const found = b.add("and", [b.add("lt", [place, whole(length)]), b.add("eq", [keyAt(place), number])]);
  return b.add("select", [found, place, whole(length)]);
}

/** Matrix [rows, columns] with values[k] at the flat place keys[k], zeros elsewhere. Its gradient is read at these places. */
function sparseMatrix(b: Builder, keys: number, values: number, rows: number, columns: number): number {
  const end = (id: number): number => b.add("pad", [id], { low: [0], high: [1] });
  const places = placesOf(b, keys, rows * columns);
  // Row K of the table stands for all places without a value; nobody wants its gradient.
  return b.reshape(b.add("gather", [end(values), places, end(keys)]), [rows, columns]);
}

function checkedKeys(context: CallContext, keys: number, values: number): void {
  const b = context.builder();
  const [[count], shape] = [b.shape(values), b.shape(keys)];
  const fits = b.tensorType(keys).dtype === "i32" && shape.at(-1) === count && b.shape(values).length === 1;
  if (!fits) throw context.fail("Places and values do not go together.", `i32[${count}]`, `[${shape.join(", ")}]`);
}

/** The keys of host places in increasing order, and the values in that order. */
function sortedEntries(context: CallContext, keys: readonly number[], values: number): [keys: number, values: number] {
  const count = keys.length;
  const order = keys.map((_key, k) => k).sort((i, j) => keys[i]! - keys[j]!);
  const rank = new Int32Array(count);
  order.forEach((k, place) => {
    rank[k] = place;
  });
  const table = (name: string, data: ArrayLike<number>): number =>
    context.table(`grid.${name}`, Int32Array.from(data), [count]);
  const sorted = order.map((k) => keys[k]!);
  const moved = context.builder().add("gather", [values, table("order", order), table("rank", rank)]);
  return [table("keys", sorted), moved];
}

/** One step of the inverse Haar transform of a grid in quarters: every place of a quarter becomes 2 x 2 entries. */
function inverseHaar(b: Builder, grid: number): number {
  const [h, w] = b.shape(grid).map((n) => n / 2) as [number, number];
  const quarter = (i: number, j: number): number => b.slice(grid, [i * h, j * w], [(i + 1) * h, (j + 1) * w]);
  const [a, horizontal, vertical, diagonal] = [quarter(0, 0), quarter(0, 1), quarter(1, 0), quarter(1, 1)];
  const row = (both: number, change: number): number => {
    const parts = [b.plus(both, change), b.sub(both, change)].map((part) => b.reshape(part, [h, 1, w, 1]));
    return b.concat(parts, 3);
  };
  const rows = [
    row(b.plus(a, horizontal), b.plus(vertical, diagonal)),
    row(b.sub(a, horizontal), b.sub(vertical, diagonal)),
  ];
  return b.scale(b.reshape(b.concat(rows, 1), [2 * h, 2 * w]), 0.5);
}

export const sparseBuiltins: readonly Builtin[] = [
  makesTensor(
    "grid",
    { rows: "host", columns: "host", values: "tensor", height: "count", width: "count" },
    "The matrix [height, width] with values[k] in row rows[k] and column columns[k], places all different; zeros elsewhere.",
    ({ rows: { data: rows }, columns: { data: columns }, values, height, width }, b, context) => {
      const isInside = (n: number, extent: number): boolean => Number.isInteger(n) && n >= 0 && n < extent;
      const keys = Array.from(rows, (row, k) => row * width + columns[k]!);
      if (!rows.every((row, k) => isInside(row, height) && isInside(columns[k] ?? -1, width)))
        throw context.fail("A place lies outside of the matrix.", `rows below ${height}, columns below ${width}`);
      const [sorted, moved] = sortedEntries(context, keys, values);
      return sparseMatrix(b, sorted, moved, height, width);
    },
  ),
  makesTensor(
    "inverse_haar",
    { grid: "tensor" },
    "A step of the inverse Haar (db1) wavelet transform of a matrix of even extents, as PEFT lays out its quarters.",
    ({ grid }, b, context) => {
      const shape = b.shape(grid);
      if (shape.length !== 2 || shape.some((n) => n % 2 !== 0))
        throw context.fail("The grid has odd extents.", "a matrix of even extents", `[${shape.join(", ")}]`);
      return inverseHaar(b, grid);
    },
  ),
  makesOperator(
    "sparse",
    { indices: "tensor", values: "tensor" },
    "The operator of the site's size with values[k] in row indices[0, k] and column indices[1, k]; the entries in row-major order, all different.",
    ({ indices, values }, b, context) => {
      checkedKeys(context, indices, values);
      const count = b.shape(values)[0]!;
      const row = (at: number): number => b.reshape(b.slice(indices, [at, 0], [at + 1, count]), [count]);
      const starts = b.add("mul", [row(0), b.constant(context.in, [count], "i32")]);
      const keys = b.add("add", [starts, row(1)]);
      return b.dense(sparseMatrix(b, keys, values, context.out, context.in));
    },
  ),
];
