/** Maps of indices: which element of its input the element of a movement op is, and where an element is in memory. */
import type { Graph, Node } from "../../ir/graph.ts";
import type { TensorType } from "../../ir/types.ts";
import { type Affine, add, constant, delinearize, linearize } from "./affine.ts";

/** The index of the input element that the element at `index` of the result is. */
export function moveIndex(graph: Graph, node: Node, index: readonly Affine[]): readonly Affine[] {
  const shape = (node.type as TensorType).shape;
  const from = (graph.nodes[node.inputs[0]!]!.type as TensorType).shape;
  switch (node.op) {
    case "reshape":
      return reshapeIndex(index, shape, from);
    case "transpose": {
      const permutation = node.attributes.permutation as readonly number[];
      return permutation.map((_axis, i) => index[permutation.indexOf(i)]!);
    }
    case "broadcast":
      return (node.attributes.axes as readonly number[]).map((axis) => index[axis]!);
    default: {
      const start = node.attributes.start as readonly number[];
      return index.map((a, i) => add(a, constant(start[i]!)));
    }
  }
}

/** Axes that both shapes have alike at the front are kept as they are; the rest goes through the row-major position. */
function reshapeIndex(index: readonly Affine[], shape: readonly number[], from: readonly number[]): readonly Affine[] {
  let same = 0;
  while (same < shape.length && same < from.length && shape[same] === from[same]) same++;
  if (same === shape.length && same === from.length) return index;
  const tail = delinearize(linearize(index.slice(same), shape.slice(same)), from.slice(same));
  return [...index.slice(0, same), ...tail];
}

/** Order of the axes of a stored value in memory, outermost first. */
export type AxisOrder = readonly number[];

export const rowMajor = (rank: number): AxisOrder => Array.from({ length: rank }, (_unused, i) => i);

export const isRowMajor = (order: AxisOrder): boolean => order.every((axis, i) => axis === i);

/** Position in memory of the element at `index`. */
export const positionOf = (index: readonly Affine[], shape: readonly number[], order: AxisOrder): Affine =>
  linearize(
    order.map((axis) => index[axis]!),
    order.map((axis) => shape[axis]!),
  );
