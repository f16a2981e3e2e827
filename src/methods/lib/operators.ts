/** Builtins that make, measure or apply operators. */
import { sizeOf } from "../../ir/types.ts";
import { type Builtin, makesOperator, makesTensor, optional } from "./builtin.ts";

/** Random streams of `dropout` calls begin here; those of tensors lie below. */
const dropoutStreams = 0x1000;

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
];
