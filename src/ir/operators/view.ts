/** Views of operators: as products, sums and multiples of others. */
import type { Builder } from "../builder.ts";

/** The factors of a product; anything else is its own. */
export const factorsOf = (builder: Builder, id: number): readonly number[] =>
  builder.node(id).op === "op.compose" ? builder.node(id).inputs : [id];

/** The terms of a sum; anything else is its own. */
export const termsOf = (builder: Builder, id: number): readonly number[] =>
  builder.node(id).op === "op.add" ? builder.node(id).inputs : [id];

/** An operator and the scalar f32[] that it is multiplied by, if there is one. */
export function multipleOf(builder: Builder, id: number): { operator: number; scalar?: number } {
  const { op, inputs } = builder.node(id);
  return op === "op.scale" ? { operator: inputs[0]!, scalar: inputs[1]! } : { operator: id };
}

export const isIdentity = (builder: Builder, id: number): boolean => builder.node(id).op === "op.identity";

export const isDense = (builder: Builder, id: number): boolean => builder.node(id).op === "op.dense";
