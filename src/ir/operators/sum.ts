/** Sums and multiples. */
import { asTensor, isFloat, operatorLevel, requireThat } from "../ops/common.ts";
import { f32, operatorType } from "../types.ts";
import { asOperator, at, matrixOf } from "./helpers.ts";
import { applyFactors } from "./product.ts";
import { entriesOf, entrywiseFlops, inOf, type OperatorRecord, outOf } from "./record.ts";
import { factorsOf } from "./view.ts";

export const add: OperatorRecord = {
  ...operatorLevel,
  name: "op.add",
  arity: "variadic",
  doc: "Sum of operators of one size.",
  infer: (inputs) => {
    const types = inputs.map((_type, i) => asOperator("op.add", inputs, i));
    const fits = types.every((t) => t.out === types[0]!.out && t.in === types[0]!.in);
    requireThat(fits, "op.add", "operators of one size", inputs);
    return types[0]!;
  },
  matrix: (node, terms) =>
    matrixOf(outOf(node), inOf(node), (i, j) => terms.reduce((sum, term) => sum + at(term, i, j), 0)),
  transpose: {
    name: "transpose-of-sum",
    doc: "(A + B).T -> A.T + B.T",
    rewrite: (b, id, transposed) => b.add("op.add", b.node(id).inputs.map(transposed)),
  },
  apply: (l, { inputs }, x) => inputs.map((term) => l.apply(term, x)).reduce((a, b) => l.builder.plus(a, b)),
  dense: (l, { inputs }) => inputs.map((term) => l.dense(term)).reduce((a, b) => l.builder.plus(a, b)),
  columns: (l, { inputs }, ids) => inputs.map((term) => l.columns(term, ids)).reduce((a, b) => l.builder.plus(a, b)),
  flops: (l, { inputs }, vectors) => inputs.reduce((sum, term) => sum + l.flops(term, vectors), 0),
  denseFlops: entrywiseFlops,
  examples: [{ inputs: [operatorType(3, 4), operatorType(3, 4), operatorType(3, 4)] }],
};

export const scale: OperatorRecord = {
  ...operatorLevel,
  name: "op.scale",
  arity: 2,
  doc: "Operator times a scalar f32[].",
  infer: (inputs) => {
    const type = asOperator("op.scale", inputs, 0);
    requireThat(isFloat(asTensor("op.scale", inputs[1]), 0), "op.scale", "an operator and f32[]", inputs);
    return type;
  },
  matrix: (node, [operator, scalar]) =>
    matrixOf(outOf(node), inOf(node), (i, j) => at(operator!, i, j) * scalar!.data[0]!),
  transpose: {
    name: "transpose-of-scale",
    doc: "(s A).T -> s A.T",
    rewrite: (b, id, transposed) => {
      const [operator, scalar] = b.node(id).inputs as [number, number];
      return b.add("op.scale", [transposed(operator), scalar]);
    },
  },
  apply: (l, { inputs }, x) => {
    const [operator, scalar] = inputs as [number, number];
    return applyFactors(l, { factors: factorsOf(l.builder, operator), scalar }, x);
  },
  dense: (l, { inputs }) => l.builder.mul(l.dense(inputs[0]!), inputs[1]!),
  columns: (l, { inputs }, ids) => l.builder.mul(l.columns(inputs[0]!, ids), inputs[1]!),
  flops: (l, { inputs }, vectors) => l.flops(inputs[0]!, vectors),
  denseFlops: (l, node) => l.denseFlops(node.inputs[0]!) + entriesOf(node),
  examples: [{ inputs: [operatorType(3, 4), f32()] }],
};
