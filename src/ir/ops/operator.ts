/**
 * Operator-level ops: linear maps with a form. They are typed and costed here; how a form is applied, made dense or transposed stands in
 * `forms.ts`. None of them survives the pass `associate`.
 */
import type { Attributes } from "../graph.ts";
import type { OpRecord } from "../op-record.ts";
import {
  f32,
  type OperatorType,
  operatorType,
  sameShape,
  sameType,
  type TensorType,
  type Type,
  tensor,
  u32Scalar,
} from "../types.ts";
import { asTensor, noCost, numbers, requireThat, sizeOf } from "./common.ts";

function asOperator(op: string, inputs: readonly Type[], at: number): OperatorType {
  const type = inputs[at];
  requireThat(type?.kind === "operator", op, "an operator", inputs);
  return type as OperatorType;
}

const operatorOp = (
  name: string,
  arity: OpRecord["arity"],
  doc: string,
  infer: (inputs: readonly Type[], attributes: Attributes) => Type,
  attributes: NonNullable<OpRecord["attributes"]> = {},
): OpRecord => ({ name, opClass: "operator", arity, attributes, doc, infer, vjp: "nondifferentiable", cost: noCost });

/** Whether a tensor is f32 of this rank. */
const isFloat = (type: TensorType, rank: number): boolean => type.dtype === "f32" && type.shape.length === rank;

/** Sites: the places of a base model that an adapter may change. `attach` replaces every one of them. */
const siteOps: readonly OpRecord[] = [
  operatorOp(
    "site.linear",
    "variadic",
    "y[..., out] = x[..., in] W^T (+ b). Inputs: x, weight f32[out,in], optionally bias f32[out]. Attribute: path (module path).",
    (inputs) => {
      const x = asTensor("site.linear", inputs[0]);
      const w = asTensor("site.linear", inputs[1]);
      const bias = inputs[2] === undefined || sameType(inputs[2], f32(w.shape[0]!));
      const fits = isFloat(w, 2) && x.dtype === "f32" && x.shape.at(-1) === w.shape[1] && bias && inputs.length <= 3;
      requireThat(fits, "site.linear", "f32 x[..., in], W[out,in], b[out]", inputs);
      return tensor("f32", [...x.shape.slice(0, -1), w.shape[0]!]);
    },
    { path: "text" },
  ),
  operatorOp(
    "site.embedding",
    2,
    "Rows of the table f32[v,d] for i32 ids [...s]: [...s, d]. Attribute: path.",
    (inputs) => {
      const table = asTensor("site.embedding", inputs[0]);
      const ids = asTensor("site.embedding", inputs[1]);
      requireThat(isFloat(table, 2) && ids.dtype === "i32", "site.embedding", "a table f32[v,d] and i32 ids", inputs);
      return tensor("f32", [...ids.shape, table.shape[1]!]);
    },
    { path: "text" },
  ),
  operatorOp(
    "site.norm",
    "variadic",
    "Normalisation over the last axis, times gain (+ bias). Inputs: x, gain [d], optionally bias [d]. Attributes: path, kind (rms | layer), epsilon.",
    (inputs, attributes) => {
      const x = asTensor("site.norm", inputs[0]);
      const vector = f32(x.shape.at(-1) ?? 0);
      const vectors = inputs.slice(1);
      const fits = vectors.length >= 1 && vectors.length <= 2 && vectors.every((type) => sameType(type, vector));
      const known = attributes.kind === "rms" || attributes.kind === "layer";
      requireThat(
        x.dtype === "f32" && fits && known,
        "site.norm",
        "kind rms or layer, f32 x[..., d], gain[d], bias[d]",
        inputs,
      );
      return x;
    },
    { path: "text", kind: "text", epsilon: "number" },
  ),
];

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
  ...siteOps,
];
