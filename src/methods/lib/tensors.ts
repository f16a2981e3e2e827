/** Builtins on tensors: shapes, contractions, lookups, square blocks. */
import type { Builder } from "../../ir/builder.ts";
import { sizeOf } from "../../ir/types.ts";
import { type Builtin, type CallContext, makesTensor, rest } from "./builtin.ts";

/** Identity blocks of the shape of `like` [g, k, k]. */
export function identityBlocks(b: Builder, like: number): number {
  const [g, k] = b.shape(like) as [number, number];
  const equal = b.add("eq", [b.iota([g, k, k], 1), b.iota([g, k, k], 2)]);
  return b.cast(equal, "f32");
}

export const times = (b: Builder, x: number, y: number): number => b.einsum("gij,gjk->gik", x, y);

/** (I - S)(I + S)^-1 per block. */
function cayley(b: Builder, s: number): number {
  const identity = identityBlocks(b, s);
  return times(b, b.sub(identity, s), b.add("inverse", [b.plus(identity, s)]));
}

/** Applies `map` to [g, k, k] blocks, whatever axes lead. */
export function perBlock(context: CallContext, id: number, map: (b: Builder, blocks: number) => number): number {
  const b = context.builder();
  const shape = b.shape(id);
  const [k, l] = [shape.at(-2), shape.at(-1)];
  if (k === undefined || k !== l)
    throw context.fail("Square blocks are wanted.", "[..., k, k]", `[${shape.join(", ")}]`);
  const blocks = b.reshape(id, [sizeOf(shape) / (k * k), k, k]);
  return b.reshape(map(b, blocks), shape);
}

export const tensorBuiltins: readonly Builtin[] = [
  makesTensor(
    "reshape",
    { x: "tensor", shape: "counts" },
    "The same entries, row-major, under another shape.",
    ({ x, shape }, b) => b.reshape(x, shape),
  ),
  makesTensor(
    "transpose",
    { x: "tensor", axes: "counts" },
    "Axis i of the result is axis axes[i] of x.",
    ({ x, axes }, b) => b.transpose(x, axes),
  ),
  makesTensor(
    "concat",
    { axis: "number", parts: rest("tensor") },
    "Tensors one after the other along an axis.",
    ({ axis, parts }, b) => b.concat(parts, axis),
  ),
  makesTensor(
    "gather",
    { table: "tensor", indices: "tensor" },
    "Rows of a table by whole numbers.",
    ({ table, indices }, b) => b.add("gather", [table, indices]),
  ),
  makesTensor(
    "einsum",
    { spec: "text", a: "tensor", b: "tensor" },
    'Contraction of two tensors, e.g. einsum("ij,jk->ik", a, b).',
    ({ spec, a, b }, builder) => builder.einsum(spec, a, b),
  ),
  makesTensor("inverse", { x: "tensor" }, "Inverse of every square matrix [..., k, k].", ({ x }, _b, context) =>
    perBlock(context, x, (b, blocks) => b.add("inverse", [blocks])),
  ),
  makesTensor("integers", { values: "counts" }, "A list as a tensor of whole numbers.", ({ values }, _b, context) =>
    context.table(`integers.${context.ordinal}`, Int32Array.from(values), [values.length]),
  ),
  makesTensor(
    "real",
    { x: "tensor" },
    "Whole numbers, or 1 and 0 of a comparison, as numbers to calculate with.",
    ({ x }, b) => b.cast(x, "f32"),
  ),
  makesTensor(
    "each_sample",
    { x: "tensor" },
    "The tensor once for every sample of the batch, along a new first axis.",
    ({ x }, b, context) => {
      const shape = b.shape(x);
      const axes = shape.map((_n, axis) => axis + 1);
      return b.add("broadcast", [x], { shape: [context.samples() ?? 1, ...shape], axes });
    },
  ),
  makesTensor("cayley", { S: "tensor" }, "(I - S)(I + S)^-1 of every block [..., k, k]: exact.", ({ S }, _b, context) =>
    perBlock(context, S, cayley),
  ),
];

/**
 * For every number 0 .. count - 1 its place in `keys` i32[K] (increasing, all different), or K where it is not there. A binary search
 * without branches: the place grows by ever smaller powers of two while the key before it is below the number.
 */
function placesOf(b: Builder, keys: number, count: number): number {
  const length = b.shape(keys)[0]!;
  const number = b.iota([count], 0);
  const whole = (n: number): number => b.constant(n, [count], "i32");
  const keyAt = (place: number): number => b.add("gather", [keys, b.add("minimum", [place, whole(length - 1)])]);
  let place = whole(0);
  for (let step = 2 ** Math.floor(Math.log2(length)); step >= 1; step /= 2) {
    const before = b.add("add", [place, whole(step - 1)]);
    const below = b.add("and", [b.add("lt", [before, whole(length)]), b.add("lt", [keyAt(before), number])]);
    place = b.add("add", [place, b.add("mul", [b.cast(below, "i32"), whole(step)])]);
  }
  const found = b.add("and", [b.add("lt", [place, whole(length)]), b.add("eq", [keyAt(place), number])]);
  return b.add("select", [found, place, whole(length)]);
}

/** Matrix [rows, columns] with values[k] at the flat place keys[k], zeros elsewhere. Its gradient is read at these places. */
export function sparseMatrix(b: Builder, keys: number, values: number, rows: number, columns: number): number {
  const end = (id: number): number => b.add("pad", [id], { low: [0], high: [1] });
  const places = placesOf(b, keys, rows * columns);
  // Row K of the table stands for all places without a value; nobody wants its gradient.
  return b.reshape(b.add("gather", [end(values), places, end(keys)]), [rows, columns]);
}
