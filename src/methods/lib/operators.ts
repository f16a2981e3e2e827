/** Builtins that make or measure operators. */
import { operatorValue, tensorValue } from "../dsl/value.ts";
import type { Builtin } from "./builtin.ts";
import { squeezed } from "./tensors.ts";

/** Random streams of `dropout` calls begin here; those of tensors lie below. */
const dropoutStreams = 0x1000;

export const operatorBuiltins: readonly Builtin[] = [
  {
    name: "diag",
    parameters: [{ name: "v", kind: "tensor" }],
    doc: "Diagonal operator from a vector; axes of extent 1 are dropped.",
    call: (context, args) => operatorValue(context.builder().add("op.diag", [squeezed(context, args.node("v"))])),
  },
  {
    name: "identity",
    parameters: [{ name: "size", kind: "count" }],
    doc: "The identity.",
    call: (context, args) => operatorValue(context.builder().add("op.identity", [], { size: args.number("size") })),
  },
  {
    name: "shuffle",
    parameters: [
      { name: "shape", kind: "counts" },
      { name: "axes", kind: "counts" },
    ],
    doc: "A permutation as a view: x reshaped to shape, its axes reordered, flattened.",
    call: (context, args) => {
      const [shape, axes] = [args.counts("shape"), args.counts("axes")];
      const isOrder = axes.length === shape.length && shape.every((_n, i) => axes.includes(i));
      if (!isOrder)
        throw context.fail(
          "axes must name every axis of shape once.",
          `an order of 0 to ${shape.length - 1}`,
          `[${axes.join(", ")}]`,
        );
      return operatorValue(context.builder().add("op.shuffle", [], { shape: [...shape], permutation: [...axes] }));
    },
  },
  {
    name: "butterfly",
    parameters: [
      { name: "factor", kind: "number" },
      { name: "width", kind: "count" },
    ],
    doc: "BOFT's interleaving of factor i: in windows of width 2^i, cut in chunks of width / 2, the even chunks come first.",
    call: (context, args) => {
      const b = context.builder();
      const [chunks, width] = [2 ** args.number("factor"), args.number("width")];
      if (chunks === 1) return operatorValue(b.add("op.identity", [], { size: context.in }));
      const shape = [context.in / (width * chunks), chunks, 2, width / 2];
      if (!shape.every(Number.isInteger))
        throw context.fail("The windows do not fill the input.", `a divisor of ${context.in}`, String(width * chunks));
      return operatorValue(b.add("op.shuffle", [], { shape, permutation: [0, 2, 1, 3] }));
    },
  },
  {
    name: "dropout",
    parameters: [
      { name: "p", kind: "number" },
      { name: "size", kind: "known", default: null },
    ],
    doc: "In training: a diagonal that is 0 with probability p, else 1 / (1 - p), drawn for every token; else the identity. Its size is the site's input unless given.",
    call: (context, args) => {
      const [p, given] = [args.number("p"), args.known("size")];
      if (p < 0 || p >= 1) throw context.fail("A dropout probability lies in [0, 1).", "0 <= p < 1", String(p));
      const size = given ?? context.in;
      const b = context.builder();
      if (!context.situation.sampling || p === 0) return operatorValue(b.add("op.identity", [], { size }));
      const { seed, step, sampleOffset } = context.scalars();
      const attributes = { size, p, site: context.site, tensor: dropoutStreams + context.ordinal };
      return operatorValue(b.add("op.dropout", [seed, step, sampleOffset], attributes));
    },
  },
  {
    name: "rownorm",
    parameters: [{ name: "operator", kind: "operator" }],
    doc: "Euclidean norm of every row; expanded over sums and products, the matrix is never formed.",
    call: (context, args) => tensorValue(context.builder().add("op.row_norm", [args.node("operator")])),
  },
];
