/** Functions of numbers that are there before a graph is: known ones, lists of them, and those of the host. */
import { type Known, known, type Value } from "./value.ts";

export const isNumbers = (value: Known): value is readonly number[] =>
  Array.isArray(value) && value.every((n) => typeof n === "number");

/** The number or the numbers of a value; undefined where it has none before a graph is built. */
function numbersOf(value: Value): number | ArrayLike<number> | undefined {
  if (value.kind === "host") return value.array.data;
  if (value.kind !== "known") return undefined;
  return typeof value.value === "number" || isNumbers(value.value) ? value.value : undefined;
}

/** f of one value or of two, entry by entry; a number goes with every entry of the other. Undefined where they have no numbers yet. */
export function entrywise(
  f: (x: number, y: number) => number,
  left: Value,
  right: Value = known(0),
): Value | undefined {
  const [a, b] = [numbersOf(left), numbersOf(right)];
  if (a === undefined || b === undefined) return undefined;
  if (typeof a === "number" && typeof b === "number") return known(f(a, b));
  const length = typeof a === "number" ? (b as ArrayLike<number>).length : a.length;
  if (typeof a !== "number" && typeof b !== "number" && a.length !== b.length) return undefined;
  const made = new Float64Array(length);
  for (let i = 0; i < length; i++) made[i] = f(typeof a === "number" ? a : a[i]!, typeof b === "number" ? b : b[i]!);
  if (left.kind !== "host" && right.kind !== "host") return known([...made]);
  const held = [left, right].flatMap((side) => (side.kind === "host" ? (side.array.held ?? []) : []));
  return { kind: "host", array: { data: made, whole: made.every(Number.isSafeInteger), held: [...new Set(held)] } };
}
