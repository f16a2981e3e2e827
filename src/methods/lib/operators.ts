/** Builtins that make, combine, measure or apply operators. */
import { sizeOf } from "../../ir/types.ts";
import { type Builtin, type CallContext, makesOperator, makesTensor, optional } from "./builtin.ts";

/** Random streams of `dropout` calls begin here; those of tensors lie below. */
const dropoutStreams = 0x1000;

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

export const operatorBuiltins: readonly Builtin[] = [
  makesOperator(
    "diag",
    { v: "tensor" },
    "Diagonal operator from a vector; axes of extent 1 are dropped.",
    ({ v }, b, context) => {
      const shape = b.shape(v);
      const kept = shape.filter((n) => n !== 1);
      if (kept.length > 1) throw context.fail("diag wants a vector.", "[n]", `[${shape.join(", ")}]`);
      return b.add("op.diag", [b.reshape(v, kept.length === 0 ? shape.slice(-1) : kept)]);
    },
  ),
  makesOperator("identity", { size: "count" }, "The identity.", ({ size }, b) => b.add("op.identity", [], { size })),
  makesOperator(
    "shuffle",
    { shape: "counts", axes: "counts" },
    "A permutation as a view: x reshaped to shape, its axes reordered, flattened.",
    ({ shape, axes }, b, context) => {
      if (axes.length !== shape.length || !shape.every((_n, i) => axes.includes(i)))
        throw context.fail(
          "axes must name every axis of shape once.",
          `an order of 0 to ${shape.length - 1}`,
          `[${axes.join(", ")}]`,
        );
      return b.add("op.shuffle", [], { shape: [...shape], permutation: [...axes] });
    },
  ),
  makesOperator(
    "dropout",
    { p: "number", size: optional("known", null) },
    "In training: a diagonal that is 0 with probability p, else 1 / (1 - p), drawn for every token; else the identity. Its size is the site's input unless given.",
    ({ p, size: given }, b, context) => {
      if (p < 0 || p >= 1) throw context.fail("A dropout probability lies in [0, 1).", "0 <= p < 1", String(p));
      const size = given ?? context.in;
      if (!context.situation.sampling || p === 0) return b.add("op.identity", [], { size });
      const { seed, step, sampleOffset } = context.scalars();
      const attributes = { size, p, site: context.site, tensor: dropoutStreams + context.ordinal };
      return b.add("op.dropout", [seed, step, sampleOffset], attributes);
    },
  ),
  makesOperator(
    "blockdiag",
    { blocks: "tensor", count: optional("known", null) },
    "Block-diagonal operator from blocks [g, o, i]; one block is repeated count times.",
    ({ blocks, count }, b, context) => {
      const shape = b.shape(blocks);
      if (shape.length !== 3) throw context.fail("blockdiag wants blocks.", "[g, o, i]", `[${shape.join(", ")}]`);
      if (count === null || count === shape[0]) return b.add("op.blockdiag", [blocks]);
      if (shape[0] !== 1 || typeof count !== "number")
        throw context.fail("blockdiag cannot repeat these blocks.", `one block, or ${count} of them`, String(shape[0]));
      return b.add("op.blockdiag", [b.broadcastTo(blocks, [count, shape[1]!, shape[2]!])]);
    },
  ),
  makesTensor(
    "rownorm",
    { operator: "operator" },
    "Euclidean norm of every row; expanded over sums and products, the matrix is never formed.",
    ({ operator }, b) => b.add("op.row_norm", [operator]),
  ),
  makesTensor(
    "apply",
    { operator: "operator", x: "tensor" },
    "Every vector along the last axis of x through the operator: y[..., out] of x[..., in].",
    ({ operator, x }, b) => b.apply(operator, x),
  ),
  makesTensor("dense", { operator: "operator" }, "The matrix of an operator, as a tensor.", ({ operator }, b) =>
    b.add("op.to_dense", [operator]),
  ),
  makesOperator("matrix", { x: "tensor" }, "A tensor of two axes as an operator.", ({ x }, b) => b.dense(x)),
  makesTensor("flatten", { x: "tensor" }, "The entries of a tensor as a vector.", ({ x }, b) =>
    b.reshape(x, [sizeOf(b.shape(x))]),
  ),
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
