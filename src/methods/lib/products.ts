/** Builtins that combine operators or repeat vectors: entrywise and Kronecker products, folds, quarter turns. */
import { operatorValue } from "../dsl/value.ts";
import type { Builtin } from "./builtin.ts";

const ofTwo = (name: string, op: string, doc: string): Builtin => ({
  name,
  parameters: [
    { name: "a", kind: "operator" },
    { name: "b", kind: "operator" },
  ],
  doc,
  call: (context, args) => operatorValue(context.builder().add(op, [args.node("a"), args.node("b")])),
});

export const productBuiltins: readonly Builtin[] = [
  ofTwo(
    "hadamard",
    "op.hadamard",
    "Entrywise product of two operators; for factors of low rank it is one of low rank too.",
  ),
  ofTwo("kron", "op.kron", "Kronecker product of two operators; its matrix is never formed unless that is cheaper."),
  {
    name: "fold",
    parameters: [
      { name: "width", kind: "count" },
      { name: "size", kind: "count" },
    ],
    doc: "The operator [size, width] that adds entries whose places are equal mod size; transposed it repeats a vector.",
    call: (context, args) =>
      operatorValue(context.builder().add("op.fold", [], { in: args.number("width"), size: args.number("size") })),
  },
  {
    name: "circulant",
    parameters: [{ name: "w", kind: "tensor" }],
    doc: "Circulant blocks from their first rows [out / b, in / b, b]; every further row is turned by one place to the right.",
    call: (context, args) => operatorValue(context.builder().add("op.circulant", [args.node("w")])),
  },
  {
    name: "turn",
    parameters: [
      { name: "size", kind: "count" },
      { name: "group", kind: "count" },
    ],
    doc: "A quarter turn, (a, b) to (-b, a), of all pairs: entries at one place of the two halves of a group.",
    call: (context, args) => {
      const [size, group] = [args.number("size"), args.number("group")];
      if (group % 2 !== 0 || size % group !== 0)
        throw context.fail("The groups do not fill the vector.", `an even divisor of ${size}`, String(group));
      return operatorValue(context.builder().add("op.turn", [], { size, group }));
    },
  },
];
