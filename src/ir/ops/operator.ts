import type { OpRecord } from "../op-record.ts";
import { type OperatorType, operatorType, sameShape, sameType, type Type, tensor, u32Scalar } from "../types.ts";
import { asTensor, numbers, requireThat, sizeOf } from "./common.ts";
import { isFloat, operatorOp } from "./operator-common.ts";

function asOperator(op: string, inputs: readonly Type[], at: number): OperatorType {
  const type = inputs[at];
  requireThat(type?.kind === "operator", op, "an operator", inputs);
  return type as OperatorType;
}

export const operatorOps: readonly OpRecord[] = [
  operatorOp("op.dense", 1, "The matrix [out, in] as an operator.", (inputs) => {
    const type = asTensor("op.dense", inputs[0]);
    requireThat(isFloat(type, 2), "op.dense", "f32[out,in]", inputs);
    return operatorType(type.shape[0]!, type.shape[1]!);
  }),
  operatorOp("op.diag", 1, "Diagonal operator from its entries [n].", (inputs) => {
    const type = asTensor("op.diag", inputs[0]);
    requireThat(isFloat(type, 1), "op.diag", "f32[n]", inputs);
    return operatorType(type.shape[0]!, type.shape[0]!);
  }),
  operatorOp(
    "op.gate",
    1,
    "Diagonal operator that varies: entries [b, n] for the samples, or [b, s, n] for the tokens, of the vectors [b, s, n] that it is applied to.",
    (inputs) => {
      const type = asTensor("op.gate", inputs[0]);
      requireThat(type.dtype === "f32" && type.shape.length >= 2, "op.gate", "f32[b,...,n]", inputs);
      const size = type.shape.at(-1)!;
      return operatorType(size, size);
    },
  ),
  operatorOp(
    "op.scalar_gate",
    1,
    "Multiple of the identity that varies: entries [b] for the samples, or [b, s] for the tokens, of the vectors [b, s, n] that it is applied to. Attribute: size.",
    (inputs, attributes) => {
      const type = asTensor("op.scalar_gate", inputs[0]);
      requireThat(type.dtype === "f32" && type.shape.length >= 1, "op.scalar_gate", "f32[b] or f32[b,s]", inputs);
      return operatorType(attributes.size as number, attributes.size as number);
    },
    { size: "integer" },
  ),
  operatorOp("op.blockdiag", 1, "Block-diagonal operator from its blocks [g, out/g, in/g].", (inputs) => {
    const type = asTensor("op.blockdiag", inputs[0]);
    requireThat(isFloat(type, 3), "op.blockdiag", "f32[g,o,i]", inputs);
    const [g, o, i] = type.shape as [number, number, number];
    return operatorType(g * o, g * i);
  }),
  operatorOp(
    "op.identity",
    0,
    "Identity. Attribute: size.",
    (_inputs, attributes) => operatorType(attributes.size as number, attributes.size as number),
    { size: "integer" },
  ),
  operatorOp(
    "op.shuffle",
    0,
    "Permutation as a view: y = x.reshape(shape).transpose(permutation).flatten(). Attributes: shape, permutation.",
    (inputs, attributes) => {
      const shape = numbers(attributes, "shape");
      const sorted = [...numbers(attributes, "permutation")].sort((a, b) => a - b);
      requireThat(
        sameShape(
          sorted,
          shape.map((_n, i) => i),
        ),
        "op.shuffle",
        "a permutation of the axes of shape",
        inputs,
      );
      return operatorType(sizeOf(shape), sizeOf(shape));
    },
    { shape: "shape", permutation: "integers" },
  ),
  operatorOp(
    "op.select",
    2,
    "Picks entries: y[i] = x[indices[i]], indices different from each other. Inputs: indices i32[k] and its inverse i32[n] (the i of every place, -1 where there is none).",
    (inputs) => {
      const types = inputs.map((_t, i) => asTensor("op.select", inputs[i]));
      const fits = types.every((type) => type.dtype === "i32" && type.shape.length === 1);
      requireThat(fits, "op.select", "i32[k] and i32[n]", inputs);
      return operatorType(types[0]!.shape[0]!, types[1]!.shape[0]!);
    },
  ),
  operatorOp("op.compose", "variadic", "Product: op.compose(A, B) x = A (B x).", (inputs) => {
    const types = inputs.map((_t, i) => asOperator("op.compose", inputs, i));
    requireThat(
      types.every((t, i) => i === 0 || types[i - 1]!.in === t.out),
      "op.compose",
      "operators whose sizes chain",
      inputs,
    );
    return operatorType(types[0]!.out, types.at(-1)!.in);
  }),
  operatorOp("op.add", "variadic", "Sum of operators of one size.", (inputs) => {
    const types = inputs.map((_t, i) => asOperator("op.add", inputs, i));
    requireThat(
      types.every((t) => t.out === types[0]!.out && t.in === types[0]!.in),
      "op.add",
      "operators of one size",
      inputs,
    );
    return types[0]!;
  }),
  operatorOp("op.scale", 2, "Operator times a scalar f32[].", (inputs) => {
    const type = asOperator("op.scale", inputs, 0);
    requireThat(isFloat(asTensor("op.scale", inputs[1]), 0), "op.scale", "an operator and f32[]", inputs);
    return type;
  }),
  operatorOp("op.hadamard", 2, "Entrywise product of two operators of one size.", (inputs) => {
    const [a, b] = [asOperator("op.hadamard", inputs, 0), asOperator("op.hadamard", inputs, 1)];
    requireThat(a.out === b.out && a.in === b.in, "op.hadamard", "operators of one size", inputs);
    return a;
  }),
  operatorOp("op.kron", 2, "Kronecker product: every entry of the first operator times the second.", (inputs) => {
    const [a, b] = [asOperator("op.kron", inputs, 0), asOperator("op.kron", inputs, 1)];
    return operatorType(a.out * b.out, a.in * b.in);
  }),
  operatorOp(
    "op.circulant",
    1,
    "Grid of circulant blocks from their first rows w [out/b, in/b, b]: entry (t, j) of block (a, c) is w[a, c, (j - t) mod b].",
    (inputs) => {
      const type = asTensor("op.circulant", inputs[0]);
      requireThat(isFloat(type, 3), "op.circulant", "f32[o,i,b]", inputs);
      const [o, i, b] = type.shape as [number, number, number];
      return operatorType(o * b, i * b);
    },
  ),
  operatorOp(
    "op.fold",
    0,
    "Sum of all entries whose places are equal mod size: y[j] = sum of x[j + k size]. Attributes: in, size. With size above in: x, then zeros.",
    (inputs, attributes) => {
      const [width, size] = [attributes.in as number, attributes.size as number];
      requireThat(width >= 1 && size >= 1, "op.fold", "extents of at least 1", inputs);
      return operatorType(size, width);
    },
    { in: "integer", size: "integer" },
  ),
  operatorOp(
    "op.turn",
    0,
    "A quarter turn of every pair (place j of the first half of a group, place j of its second half): (a, b) -> (-b, a). Attributes: size, group (even, divides size).",
    (inputs, attributes) => {
      const [size, group] = [attributes.size as number, attributes.group as number];
      requireThat(group >= 2 && group % 2 === 0 && size % group === 0, "op.turn", "even groups that fill size", inputs);
      return operatorType(size, size);
    },
    { size: "integer", group: "integer" },
  ),
  operatorOp("op.transpose", 1, "Transposed operator.", (inputs) => {
    const type = asOperator("op.transpose", inputs, 0);
    return operatorType(type.in, type.out);
  }),
  operatorOp(
    "op.dropout",
    3,
    "Random diagonal that varies over tokens: entries 0 with probability p, else 1/(1-p). Inputs: seed, step, sample offset (u32[]). Attributes: size, p, site, tensor.",
    (inputs, attributes) => {
      requireThat(
        inputs.every((type) => sameType(type, u32Scalar)),
        "op.dropout",
        "three u32 scalars",
        inputs,
      );
      return operatorType(attributes.size as number, attributes.size as number);
    },
    { size: "integer", p: "number", site: "integer", tensor: "integer" },
  ),
  operatorOp("op.apply", 2, "x [..., in] through an operator: [..., out].", (inputs) => {
    const type = asOperator("op.apply", inputs, 0);
    const x = asTensor("op.apply", inputs[1]);
    requireThat(x.shape.at(-1) === type.in && x.dtype === "f32", "op.apply", `f32[..., ${type.in}]`, inputs);
    return tensor("f32", [...x.shape.slice(0, -1), type.out]);
  }),
  operatorOp("op.lookup", 2, "Columns of an operator by i32 numbers [...s]: [...s, out].", (inputs) => {
    const type = asOperator("op.lookup", inputs, 0);
    const ids = asTensor("op.lookup", inputs[1]);
    requireThat(ids.dtype === "i32", "op.lookup", "an operator and i32 numbers of its columns", inputs);
    return tensor("f32", [...ids.shape, type.out]);
  }),
  operatorOp("op.to_dense", 1, "The operator as a matrix [out, in].", (inputs) => {
    const type = asOperator("op.to_dense", inputs, 0);
    return tensor("f32", [type.out, type.in]);
  }),
  operatorOp(
    "op.row_norm",
    1,
    "Euclidean norm of every row of the operator: [out]; expanded, never through the dense matrix.",
    (inputs) => tensor("f32", [asOperator("op.row_norm", inputs, 0).out]),
  ),
];
