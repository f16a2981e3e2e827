/**
 * Cuts: the axes along which an op can be done part by part. A part of the result is the same op on parts of the inputs that are cut with it
 * and on the whole of the others; where the axis is summed over, the parts of the result are combined.
 */
import type { Attributes, Node } from "./graph.ts";
import { opRecord } from "./registry.ts";
import type { TensorType } from "./types.ts";

export interface Cut {
  /** For every input the axis that is cut with it; undefined: a part needs all of it. */
  readonly inputs: readonly (number | undefined)[];
  /** The axis of the result; undefined where it is reduced, and `combine` makes the result of the parts. */
  readonly output?: number;
  readonly combine?: "add" | "maximum";
}

/** Elements `from` to `to` (exclusive) along a cut. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** The cuts of a node, given the types of its inputs; of a pointwise op all axes. */
export function cutsOf(node: Node, inputs: readonly TensorType[]): readonly Cut[] {
  const record = opRecord(node.op);
  const type = node.type as TensorType;
  if (record.opClass === "pointwise")
    return type.shape.map((_n, axis) => ({ inputs: inputs.map(() => axis), output: axis }));
  return record.cuts?.(inputs, node.attributes, type) ?? [];
}

/** The attributes of a part of a node. */
export function partAttributes(node: Node, cut: Cut, { from, to }: Range): Attributes {
  const { output } = cut;
  if (output === undefined) return node.attributes;
  const resized = (list: unknown): number[] =>
    (list as readonly number[]).map((n, axis) => (axis === output ? to - from : n));
  const { shape, limit } = node.attributes;
  return {
    ...node.attributes,
    ...(shape === undefined ? {} : { shape: resized(shape) }),
    ...(limit === undefined ? {} : { limit: resized(limit) }),
  };
}
