/** Order of the axes of stored values in memory, outermost first. */
import { type Affine, linearize } from "./affine.ts";

export type AxisOrder = readonly number[];

export const rowMajor = (rank: number): AxisOrder => Array.from({ length: rank }, (_unused, i) => i);

export const isRowMajor = (order: AxisOrder): boolean => order.every((axis, i) => axis === i);

/** Position in memory of the element at `index`. */
export const positionOf = (index: readonly Affine[], shape: readonly number[], order: AxisOrder): Affine =>
  linearize(
    order.map((axis) => index[axis]!),
    order.map((axis) => shape[axis]!),
  );
