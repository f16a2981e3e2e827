/** Parts of values: ranges of an axis, and what is made of the parts. */
import type { Builder } from "../ir/builder.ts";
import type { Cut, Range } from "../ir/cuts.ts";
import { WebpeftError } from "../ir/diagnostics.ts";

/** Operations on parts that may be written: with more, a graph takes minutes to compile and hours to run. */
const mostOnParts = 100_000;

/** What is cut, for the error: where, what, and the bytes of its parts at most. */
interface Whole {
  readonly where: string;
  readonly what: string;
  readonly limit: number;
}

/** Throws `COMPILE-LIMIT` where so many operations on parts would be too many. */
export function checkParts(operations: number, { where, what, limit }: Whole): void {
  if (operations <= mostOnParts) return;
  throw new WebpeftError("COMPILE-LIMIT", {
    message: "values are so much larger than a binding of the device that they cannot be computed in parts",
    where,
    expected: `at most ${mostOnParts} operations on parts of at most ${limit} bytes`,
    got: `${operations} with ${what}`,
    help: "Take fewer or shorter rows, fewer virtual tokens, or a device that binds more.",
  });
}

/** Equal ranges of an axis whose elements take `bytes` each; of round lengths where that costs little. */
export function rangesOf(extent: number, bytes: number, most: number): Range[] {
  const length = partLength(extent, bytes, most);
  return Array.from({ length: Math.ceil(extent / length) }, (_unused, i) => ({
    from: i * length,
    to: Math.min(extent, (i + 1) * length),
  }));
}

/** How many ranges there would be. */
export const partCount = (extent: number, bytes: number, most: number): number =>
  Math.ceil(extent / partLength(extent, bytes, most));

function partLength(extent: number, bytes: number, most: number): number {
  const fit = Math.max(1, Math.min(extent, Math.floor(most / bytes)));
  const even = Math.ceil(extent / Math.ceil(extent / fit));
  const multiple = [32, 4].find((n) => fit >= n && Math.ceil(even / n) * n <= fit) ?? 1;
  return Math.ceil(even / multiple) * multiple;
}

/** Elements of a range along an axis. */
export function sliced(builder: Builder, id: number, axis: number, { from, to }: Range): number {
  const shape = builder.shape(id);
  return builder.slice(
    id,
    shape.map((_n, i) => (i === axis ? from : 0)),
    shape.map((n, i) => (i === axis ? to : n)),
  );
}

/** Parts that one kernel puts together: it has to bind them all. */
const mostTogether = 4;

/** The value whose parts these are; a few at a time, and sums in pairs, so that they stay exact. */
export function combined(builder: Builder, parts: readonly number[], { output, combine }: Cut): number {
  if (parts.length === 1) return parts[0]!;
  const together = combine === undefined ? mostTogether : 2;
  const next = Array.from({ length: Math.ceil(parts.length / together) }, (_unused, i) => {
    const few = parts.slice(i * together, (i + 1) * together);
    if (few.length === 1) return few[0]!;
    return combine === undefined ? builder.concat(few, output!) : builder.add(combine, few);
  });
  return combined(builder, next, {
    inputs: [],
    ...(output === undefined ? {} : { output }),
    ...(combine === undefined ? {} : { combine }),
  });
}
