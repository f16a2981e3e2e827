/**
 * One record per operator form: how it acts on vectors, what it costs, and its transpose's name in the algebra. `apply` works on any
 * leading axes; `dense` is derived by applying the transposed form to rows, so a form needs no second formula.
 */
import type { Builder } from "../ir/builder.ts";
import type { Node } from "../ir/graph.ts";
import { type OperatorType, sizeOf, type TensorType } from "../ir/types.ts";
import { circulantForm } from "./circulant.ts";

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
  /** Of forms whose columns have one entry at most: where the entries of some columns stand, and what they are unless 1. */
  column?(builder: Builder, node: Node, ids: number): { readonly row: number; readonly factor?: number };
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

/** Sum of the entries whose places are equal mod `size`. */
function folded(builder: Builder, x: number, size: number): number {
  const [leading, width] = [builder.shape(x).slice(0, -1), builder.shape(x).at(-1)!];
  const count = Math.ceil(width / size);
  const none = leading.map(() => 0);
  const whole =
    count * size === width ? x : builder.add("pad", [x], { low: [...none, 0], high: [...none, count * size - width] });
  if (count === 1) return whole;
  return builder.sum(builder.reshape(whole, [...leading, count, size]), [leading.length]);
}

/** x repeated, and cut to `width` entries: the transposed of `folded`. */
function tiled(builder: Builder, x: number, width: number): number {
  const [leading, size] = [builder.shape(x).slice(0, -1), builder.shape(x).at(-1)!];
  const count = Math.ceil(width / size);
  const axes = leading.map((_n, i) => i);
  const repeated = count === 1 ? x : builder.broadcast(x, [...leading, count, size], [...axes, leading.length + 1]);
  const flat = builder.reshape(repeated, [...leading, count * size]);
  return builder.slice(flat, [...axes.map(() => 0), 0], [...leading, width]);
}

/** (a, b) -> (-b, a) for the halves of every group; `sign` -1 turns the other way. */
function turned(builder: Builder, x: number, group: number, sign: 1 | -1): number {
  const [leading, width] = [builder.shape(x).slice(0, -1), builder.shape(x).at(-1)!];
  const shape = [...leading, width / group, 2, group / 2];
  const pairs = builder.reshape(x, shape);
  const axis = leading.length + 1;
  const half = (which: number): number =>
    builder.slice(
      pairs,
      shape.map((_n, i) => (i === axis ? which : 0)),
      shape.map((n, i) => (i === axis ? which + 1 : n)),
    );
  const [first, second] = [half(0), half(1)];
  const parts = sign === 1 ? [builder.neg(second), first] : [second, builder.neg(first)];
  return builder.reshape(builder.concat(parts, axis), [...leading, width]);
}

/** y[..., i] = x[..., indices[i]]; `inverse` as `gather` wants it. */
function gatherLast(builder: Builder, x: number, indices: number, inverse?: number): number {
  const leading = builder.shape(x).map((_n, axis) => axis);
  const last = leading.pop()!;
  const table = builder.transpose(x, [last, ...leading]);
  const rows = builder.add("gather", inverse === undefined ? [table, indices] : [table, indices, inverse]);
  return builder.transpose(rows, [...leading.map((axis) => axis + 1), 0]);
}

/** Places of a selection's inverse that are there, and for every place a row to read. */
function slots(builder: Builder, inverse: number): { row: number; factor: number } {
  const none = builder.compare("lt", inverse, builder.zerosLike(inverse));
  return {
    row: builder.select(none, builder.zerosLike(inverse), inverse),
    factor: builder.cast(builder.add("not", [none]), "f32"),
  };
}

/** x[b, ..., n] times entries [b, n] of its samples, or [b, s, n] of its tokens. */
function gated(builder: Builder, x: number, entries: number): number {
  const [shape, rank] = [builder.shape(x), builder.shape(entries).length];
  const axes = Array.from({ length: rank }, (_unused, axis) => (axis === rank - 1 ? shape.length - 1 : axis));
  return builder.mul(x, builder.broadcast(entries, shape, axes));
}

/** A tensor repeated over the axes behind its own. */
const leadingBroadcast = (builder: Builder, x: number, shape: readonly number[]): number =>
  builder.broadcast(x, shape, [...builder.shape(x).keys()]);

/** x[b, s, n] times the number of its sample or of its token. */
const scalarGated = (builder: Builder, x: number, entries: number): number =>
  builder.mul(x, leadingBroadcast(builder, entries, builder.shape(x)));

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
    column: (b, node, ids) => ({ row: ids, factor: b.add("gather", [node.inputs[0]!, ids]) }),
  },
  {
    op: "op.gate",
    apply: (b, node, x) => gated(b, x, node.inputs[0]!),
    applyTransposed: (b, node, x) => gated(b, x, node.inputs[0]!),
    dense: () => {
      throw new Error("a gate varies over samples and has no matrix");
    },
    flops: (_b, node) => (node.type as OperatorType).in,
  },
  {
    op: "op.scalar_gate",
    apply: (b, node, x) => scalarGated(b, x, node.inputs[0]!),
    applyTransposed: (b, node, x) => scalarGated(b, x, node.inputs[0]!),
    dense: () => {
      throw new Error("a gate varies over samples and has no matrix");
    },
    flops: (_b, node) => (node.type as OperatorType).in,
    column: (b, node, ids) => ({ row: ids, factor: leadingBroadcast(b, node.inputs[0]!, b.shape(ids)) }),
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
    column: (_b, _node, ids) => ({ row: ids }),
  },
  {
    op: "op.select",
    apply: (b, node, x) => gatherLast(b, x, node.inputs[0]!),
    applyTransposed: (b, node, x) => {
      const [indices, inverse] = node.inputs as [number, number];
      const { row, factor } = slots(b, inverse);
      return b.mul(gatherLast(b, x, row, indices), factor);
    },
    dense: (b, node) => {
      const [indices, inverse] = node.inputs as [number, number];
      const shape = [b.shape(indices)[0]!, b.shape(inverse)[0]!];
      return b.cast(b.add("eq", [b.broadcast(indices, shape, [0]), b.iota(shape, 1)]), "f32");
    },
    flops: () => 0,
    column: (b, node, ids) => slots(b, b.add("gather", [node.inputs[1]!, ids])),
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
  circulantForm,
  {
    op: "op.fold",
    apply: (b, node, x) => folded(b, x, node.attributes.size as number),
    applyTransposed: (b, node, x) => tiled(b, x, node.attributes.in as number),
    dense: (b, node) => tiled(b, identityMatrix(b, node.attributes.size as number), node.attributes.in as number),
    flops: (_b, node) => node.attributes.in as number,
  },
  {
    op: "op.turn",
    apply: (b, node, x) => turned(b, x, node.attributes.group as number, 1),
    applyTransposed: (b, node, x) => turned(b, x, node.attributes.group as number, -1),
    dense: (b, node) => {
      const identity = identityMatrix(b, node.attributes.size as number);
      return turned(b, identity, node.attributes.group as number, -1);
    },
    flops: (_b, node) => node.attributes.size as number,
  },
  {
    op: "op.dropout",
    apply: (b, node, x) => b.mul(x, dropoutMask(b, node, b.shape(x))),
    applyTransposed: (b, node, x) => b.mul(x, dropoutMask(b, node, b.shape(x))),
    dense: (b, node) => {
      if (node.attributes.p === 0) return identityMatrix(b, node.attributes.size as number);
      throw new Error("dropout varies over tokens and has no matrix");
    },
    flops: (_b, node) => 100 * (node.attributes.size as number),
  },
];

const formsByOp: ReadonlyMap<string, FormRecord> = new Map(forms.map((form) => [form.op, form]));

/** Whether an operator is a leaf: neither a sum, a product, a scaled nor a transposed one. */
export const hasForm = (op: string): boolean => formsByOp.has(op);

export function formRecord(op: string): FormRecord {
  const form = formsByOp.get(op);
  if (form === undefined) throw new Error(`${op} is not a leaf form`);
  return form;
}
