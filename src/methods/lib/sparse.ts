/** A matrix of few entries, by their places. */
import type { Builder } from "../../ir/builder.ts";

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
export function sparseMatrix(b: Builder, keys: number, values: number, rows: number, columns: number): number {
  const end = (id: number): number => b.add("pad", [id], { low: [0], high: [1] });
  const places = placesOf(b, keys, rows * columns);
  // Row K of the table stands for all places without a value; nobody wants its gradient.
  return b.reshape(b.add("gather", [end(values), places, end(keys)]), [rows, columns]);
}
