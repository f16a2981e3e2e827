/** Builtins that combine operators or repeat vectors: entrywise and Kronecker products, folds, quarter turns. */
import { type Builtin, makesOperator } from "./builtin.ts";

export const productBuiltins: readonly Builtin[] = [
  makesOperator(
    "hadamard",
    { a: "operator", b: "operator" },
    "Entrywise product of two operators; for factors of low rank it is one of low rank too.",
    ({ a, b }, builder) => builder.add("op.hadamard", [a, b]),
  ),
  makesOperator(
    "kron",
    { a: "operator", b: "operator" },
    "Kronecker product of two operators; its matrix is never formed unless that is cheaper.",
    ({ a, b }, builder) => builder.add("op.kron", [a, b]),
  ),
  makesOperator(
    "fold",
    { width: "count", size: "count" },
    "The operator [size, width] that adds entries whose places are equal mod size; transposed it repeats a vector.",
    ({ width, size }, b) => b.add("op.fold", [], { in: width, size }),
  ),
  makesOperator(
    "circulant",
    { w: "tensor" },
    "Circulant blocks from their first rows [out / b, in / b, b]; every further row is turned by one place to the right.",
    ({ w }, b) => b.add("op.circulant", [w]),
  ),
  makesOperator(
    "turn",
    { size: "count", group: "count" },
    "A quarter turn, (a, b) to (-b, a), of all pairs: entries at one place of the two halves of a group.",
    ({ size, group }, b, context) => {
      if (group % 2 !== 0 || size % group !== 0)
        throw context.fail("The groups do not fill the vector.", `an even divisor of ${size}`, String(group));
      return b.add("op.turn", [], { size, group });
    },
  ),
];
