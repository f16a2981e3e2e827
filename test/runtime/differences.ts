/** The largest distance between numbers at one place, relative to the largest number wanted. */
export function largestDifference(made: ArrayLike<number>, wanted: ArrayLike<number>): number {
  if (made.length !== wanted.length) return Number.POSITIVE_INFINITY;
  let [largest, scale] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    largest = Math.max(largest, Math.abs(made[i]! - wanted[i]!));
    scale = Math.max(scale, Math.abs(wanted[i]!));
  }
  return largest / scale;
}
