/** Builtins that combine operators or repeat vectors: entrywise and Kronecker products, folds. */
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
];
