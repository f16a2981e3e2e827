/** Builtins on places of an axis that are known by number: rows of an embedding, chosen entries. */
import { known, operatorValue, tensorValue } from "../dsl/value.ts";
import type { Builtin, CallContext } from "./builtin.ts";

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
  {
    name: "count",
    parameters: [{ name: "values", kind: "counts" }],
    doc: "How many numbers a list has.",
    call: (_context, args) => known(args.counts("values").length),
  },
  {
    name: "distinct",
    parameters: [{ name: "values", kind: "counts" }],
    doc: "Whether no number of a list is there twice.",
    call: (_context, args) => known(new Set(args.counts("values")).size === args.counts("values").length),
  },
  {
    name: "all_below",
    parameters: [
      { name: "values", kind: "counts" },
      { name: "limit", kind: "number" },
    ],
    doc: "Whether every number of a list is below limit.",
    call: (_context, args) => known(args.counts("values").every((value) => value < args.number("limit"))),
  },
  {
    name: "select",
    parameters: [
      { name: "indices", kind: "counts" },
      { name: "size", kind: "count" },
    ],
    doc: "The operator that picks entries of a vector: y[i] = x[indices[i]]. Its transpose puts entries at these places, zeros elsewhere.",
    call: (context, args) => {
      const [indices, size] = [args.counts("indices"), args.number("size")];
      const inverse = context.table("select.inverse", inverseOf(context, indices, size), [size]);
      return operatorValue(context.builder().add("op.select", [indicesTable(context, indices), inverse]));
    },
  },
  {
    name: "without",
    parameters: [
      { name: "indices", kind: "counts" },
      { name: "size", kind: "count" },
    ],
    doc: "The diagonal that is 0 at the given places, else 1.",
    call: (context, args) => {
      const [indices, size] = [args.counts("indices"), args.number("size")];
      const kept = Float32Array.from(inverseOf(context, indices, size), (place) => (place < 0 ? 1 : 0));
      return operatorValue(context.builder().add("op.diag", [context.table("select.without", kept, [size])]));
    },
  },
  {
    name: "columns",
    parameters: [
      { name: "operator", kind: "operator" },
      { name: "indices", kind: "counts" },
    ],
    doc: "Columns of an operator, one in every row of the result: [count, out].",
    call: (context, args) => {
      const indices = indicesTable(context, args.counts("indices"));
      return tensorValue(context.builder().add("op.lookup", [args.node("operator"), indices]));
    },
  },
];
