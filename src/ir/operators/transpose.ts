/** The transposed of an operator. The algebra moves it to the leaves; before that it may stand anywhere. */
import { operatorLevel } from "../ops/common.ts";
import { operatorType } from "../types.ts";
import { asOperator, at, matrixOf } from "./helpers.ts";
import { entriesOf, inOf, type OperatorRecord, outOf } from "./record.ts";

export const transpose: OperatorRecord = {
  ...operatorLevel,
  name: "op.transpose",
  arity: 1,
  doc: "Transposed operator.",
  infer: (inputs) => {
    const type = asOperator("op.transpose", inputs, 0);
    return operatorType(type.in, type.out);
  },
  matrix: (node, [operator]) => matrixOf(outOf(node), inOf(node), (i, j) => at(operator!, j, i)),
  transpose: {
    name: "transpose-of-transpose",
    doc: "A.T.T -> A",
    rewrite: (b, id) => b.node(id).inputs[0]!,
  },
  apply: (l, { inputs }, x) => l.applyTransposed(inputs[0]!, x),
  dense: (l, { inputs }) => l.builder.transpose(l.dense(inputs[0]!), [1, 0]),
  flops: (l, { inputs }, vectors) => l.flops(inputs[0]!, vectors),
  denseFlops: (l, node) => l.denseFlops(node.inputs[0]!) + entriesOf(node),
  examples: [{ inputs: [operatorType(3, 4)] }],
};
