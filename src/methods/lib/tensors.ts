/** Builtins on tensors: shapes, contractions, lookups. */
import type { Builder } from "../../ir/builder.ts";
import { type Builtin, makesTensor, rest } from "./builtin.ts";

/** 2 pi (index * frequency mod size) / size, for every index 0 .. size - 1 and frequency: [size, K]. Whole numbers stay below 2^31. */
function angles(b: Builder, frequencies: number, size: number): number {
  const shape = [size, b.shape(frequencies)[0]!];
  const whole = (n: number): number => b.constant(n, shape, "i32");
  const rest = (id: number): number => b.add("mod", [id, whole(size)]);
  const index = b.iota(shape, 0);
  const frequency = b.broadcast(frequencies, shape, [1]);
  const fits = size * size < 2 ** 31;
  // Above 46340 the product would overflow: 256 (index div 256) + index mod 256, each part reduced on its own.
  const low = b.add("mod", [index, whole(256)]);
  const high = b.add("div", [b.add("sub", [index, low]), whole(256)]);
  const product = fits
    ? b.add("mul", [index, frequency])
    : b.add("add", [b.add("mul", [rest(b.add("mul", [high, frequency])), whole(256)]), b.add("mul", [low, frequency])]);
  return b.scale(b.cast(rest(product), "f32"), (2 * Math.PI) / size);
}

/** For every entry of a row, how many different larger numbers the row has: [b, t] of i32 [b, t]. Compares all pairs of a row. */
function distinctLarger(b: Builder, x: number): number {
  const [rows, width] = b.shape(x) as [number, number];
  const pairs = [rows, width, width];
  const [own, other] = [b.broadcast(x, pairs, [0, 1]), b.broadcast(x, pairs, [0, 2])];
  const isEarlier = b.add("lt", [b.iota(pairs, 2), b.iota(pairs, 1)]);
  const repeats = b.add("and", [isEarlier, b.add("eq", [own, other])]);
  const isFirst = b.compare("eq", b.sum(b.cast(repeats, "f32"), [2]), b.constant(0));
  const counts = b.add("and", [b.add("lt", [own, other]), b.broadcast(isFirst, pairs, [0, 2])]);
  return b.sum(b.cast(counts, "f32"), [2]);
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
  makesTensor("inverse", { x: "tensor" }, "Inverse of a square matrix.", ({ x }, b, context) => {
    const [n, m, more] = b.shape(x);
    if (n === undefined || n !== m || more !== undefined)
      throw context.fail("inverse wants a square matrix.", "[n, n]", `[${b.shape(x).join(", ")}]`);
    return b.reshape(b.add("inverse", [b.reshape(x, [1, n, n])]), [n, n]);
  }),
  makesTensor(
    "strictly_upper",
    { x: "tensor" },
    "A matrix with everything on and below its diagonal replaced by 0.",
    ({ x }, b, context) => {
      const shape = b.shape(x);
      if (shape.length !== 2) throw context.fail("strictly_upper wants a matrix.", "[n, m]", `[${shape.join(", ")}]`);
      return b.select(b.add("lt", [b.iota(shape, 0), b.iota(shape, 1)]), x, b.zerosLike(x));
    },
  ),
  makesTensor(
    "angles",
    { frequencies: "tensor", size: "count" },
    "2 pi (p u_k mod size) / size for p in 0 .. size - 1 and whole frequencies u [K]: [size, K], reduced before it is rounded.",
    ({ frequencies, size }, b) => angles(b, frequencies, size),
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
  makesTensor(
    "distinct_larger",
    { x: "tensor" },
    "For every whole number of a row, how many different larger ones the row has: [rows, width].",
    ({ x }, b, context) => {
      const { dtype, shape } = b.tensorType(x);
      if (dtype !== "i32" || shape.length !== 2)
        throw context.fail("distinct_larger wants rows of whole numbers.", "i32[rows, width]", `${dtype}[${shape}]`);
      return distinctLarger(b, x);
    },
  ),
];
