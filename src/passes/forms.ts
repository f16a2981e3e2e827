/**
 * One record per operator form: how it acts on vectors, what it costs, and its transpose's name in the algebra. `apply` works on any
 * leading axes; `dense` is derived by applying the transposed form to rows, so a form needs no second formula.
 */
import type { Builder } from "../ir/builder.ts";
import type { Node } from "../ir/graph.ts";
import { type OperatorType, sizeOf, type TensorType } from "../ir/types.ts";

export interface FormRecord {
  readonly op: string;
  /** y[..., out] from x[..., in]; only leaf forms are applied here, sums and products are the business of `lower-operator.ts`. */
  apply(builder: Builder, node: Node, x: number): number;
  /** y[..., in] from x[..., out]: the transposed operator. */
  applyTransposed(builder: Builder, node: Node, x: number): number;
  /** The matrix [out, in]. */
  dense(builder: Builder, node: Node): number;
  /** Flops to apply it to one vector. */
  flops(builder: Builder, node: Node): number;
}

/** Names of leading axes; g, i, k, n and o are taken. */
const letters = "abcdef";

/** einsum of x[..., k] with a matrix, keeping the leading axes. `matrix` is `nk` (rows are outputs) or `kn`. */
function contractLast(builder: Builder, x: number, matrix: number, layout: "nk" | "kn"): number {
  const leading = letters.slice(0, builder.shape(x).length - 1);
  return builder.einsum(`${leading}k,${layout}->${leading}n`, x, matrix);
}

function blocks(builder: Builder, x: number, matrix: number, spec: "goi" | "gio"): number {
  const shape = builder.shape(x);
  const leading = shape.slice(0, -1);
  const [g, p, q] = builder.shape(matrix) as [number, number, number];
  const [inner, outer] = spec === "goi" ? [q, p] : [p, q];
  const names = letters.slice(0, leading.length);
  const split = builder.reshape(x, [...leading, g, inner]);
  const product = builder.einsum(`${names}gi,${spec}->${names}go`, split, matrix);
  return builder.reshape(product, [...leading, g * outer]);
}

function shuffled(builder: Builder, x: number, shape: readonly number[], permutation: readonly number[]): number {
  const leading = builder.shape(x).slice(0, -1);
  const split = builder.reshape(x, [...leading, ...shape]);
  const moved = builder.transpose(split, [
    ...leading.map((_n, i) => i),
    ...permutation.map((axis) => axis + leading.length),
  ]);
  return builder.reshape(moved, [...leading, sizeOf(shape)]);
}

/** The n x n identity matrix. */
export function identityMatrix(builder: Builder, n: number): number {
  const isDiagonal = builder.add("eq", [builder.iota([n, n], 0), builder.iota([n, n], 1)]);
  return builder.cast(isDiagonal, "f32");
}

const shuffleOf = (node: Node): [readonly number[], readonly number[]] => [
  node.attributes.shape as readonly number[],
  node.attributes.permutation as readonly number[],
];

/** Zero with probability p, else 1 / (1 - p): the mask of dropout, for activations of the given shape whose axis 0 counts samples. */
export function dropoutMask(builder: Builder, node: Node, shape: readonly number[]): number {
  const p = node.attributes.p as number;
  const uniform = builder.add("uniform", node.inputs, {
    shape: [...shape],
    site: node.attributes.site!,
    tensor: node.attributes.tensor!,
  });
  const dropped = builder.add("lt", [uniform, builder.constantLike(uniform, p)]);
  return builder.select(dropped, builder.zerosLike(uniform), builder.constantLike(uniform, 1 / (1 - p)));
}

export const forms: readonly FormRecord[] = [
  {
    op: "op.dense",
    apply: (b, node, x) => contractLast(b, x, node.inputs[0]!, "nk"),
    applyTransposed: (b, node, x) => contractLast(b, x, node.inputs[0]!, "kn"),
    dense: (_b, node) => node.inputs[0]!,
    flops: (b, node) => 2 * sizeOf((b.type(node.inputs[0]!) as TensorType).shape),
  },
  {
    op: "op.diag",
    apply: (b, node, x) => b.mul(x, node.inputs[0]!),
    applyTransposed: (b, node, x) => b.mul(x, node.inputs[0]!),
    dense: (b, node) => b.mul(identityMatrix(b, b.shape(node.inputs[0]!)[0]!), node.inputs[0]!),
    flops: (b, node) => b.shape(node.inputs[0]!)[0]!,
  },
  {
    op: "op.blockdiag",
    apply: (b, node, x) => blocks(b, x, node.inputs[0]!, "goi"),
    applyTransposed: (b, node, x) => blocks(b, x, node.inputs[0]!, "gio"),
    dense: (b, node) => {
      const [g, , i] = b.shape(node.inputs[0]!) as [number, number, number];
      return b.transpose(blocks(b, identityMatrix(b, g * i), node.inputs[0]!, "goi"), [1, 0]);
    },
    flops: (b, node) => 2 * sizeOf(b.shape(node.inputs[0]!)),
  },
  {
    op: "op.identity",
    apply: (_b, _node, x) => x,
    applyTransposed: (_b, _node, x) => x,
    dense: (b, node) => identityMatrix(b, node.attributes.size as number),
    flops: () => 0,
  },
  {
    op: "op.shuffle",
    apply: (b, node, x) => shuffled(b, x, ...shuffleOf(node)),
    applyTransposed: (b, node, x) => {
      const [shape, permutation] = shuffleOf(node);
      return shuffled(
        b,
        x,
        permutation.map((axis) => shape[axis]!),
        permutation.map((_axis, i) => permutation.indexOf(i)),
      );
    },
    dense: (b, node) => {
      const identity = identityMatrix(b, (node.type as OperatorType).in);
      return b.transpose(shuffled(b, identity, ...shuffleOf(node)), [1, 0]);
    },
    flops: () => 0,
  },
  {
    op: "op.dropout",
    apply: (b, node, x) => b.mul(x, dropoutMask(b, node, b.shape(x))),
    applyTransposed: (b, node, x) => b.mul(x, dropoutMask(b, node, b.shape(x))),
    dense: () => {
      throw new Error("dropout varies over tokens and has no matrix");
    },
    flops: (_b, node) => 100 * (node.attributes.size as number),
  },
];

const formsByOp: ReadonlyMap<string, FormRecord> = new Map(forms.map((form) => [form.op, form]));

export function formRecord(op: string): FormRecord {
  const form = formsByOp.get(op);
  if (form === undefined) throw new Error(`${op} is not a leaf form`);
  return form;
}
