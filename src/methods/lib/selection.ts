/** Builtins on places of an axis that are known by number: rows of an embedding, chosen entries. */
import { type Builtin, type CallContext, makesOperator, makesTensor } from "./builtin.ts";

/** The place in `indices` of every number below `size`, -1 where there is none. */
function inverseOf(context: CallContext, indices: readonly number[], size: number): Int32Array {
  const inverse = new Int32Array(size).fill(-1);
  indices.forEach((index, i) => {
    if (index >= size) throw context.fail("A number lies outside.", `numbers below ${size}`, String(index));
    if (inverse[index] !== -1) throw context.fail("A number is there twice.", "different numbers", String(index));
    inverse[index] = i;
  });
  return inverse;
}

const indicesTable = (context: CallContext, indices: readonly number[]): number =>
  context.table("select.indices", Int32Array.from(indices), [indices.length]);

export const selectionBuiltins: readonly Builtin[] = [
  makesOperator(
    "select",
    { indices: "counts", size: "count" },
    "The operator that picks entries of a vector: y[i] = x[indices[i]]. Its transpose puts entries at these places, zeros elsewhere.",
    ({ indices, size }, b, context) => {
      const inverse = context.table("select.inverse", inverseOf(context, indices, size), [size]);
      return b.add("op.select", [indicesTable(context, indices), inverse]);
    },
  ),
  makesOperator(
    "without",
    { indices: "counts", size: "count" },
    "The diagonal that is 0 at the given places, else 1.",
    ({ indices, size }, b, context) => {
      const kept = Float32Array.from(inverseOf(context, indices, size), (place) => (place < 0 ? 1 : 0));
      return b.add("op.diag", [context.table("select.without", kept, [size])]);
    },
  ),
  makesTensor(
    "columns",
    { operator: "operator", indices: "counts" },
    "Columns of an operator, one in every row of the result: [count, out].",
    ({ operator, indices }, b, context) => b.add("op.lookup", [operator, indicesTable(context, indices)]),
  ),
];
