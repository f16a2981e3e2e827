/** Builtins on whole numbers: lists of a config as tensors, comparisons, remainders, ranks. */
import type { Builder } from "../../ir/builder.ts";
import { known, tensorValue } from "../dsl/value.ts";
import type { Builtin } from "./builtin.ts";

/** Two tensors of one dtype: a number beside whole numbers is one of them. */
export function ofOneType(b: Builder, x: number, y: number): [number, number] {
  const [left, right] = [b.tensorType(x).dtype, b.tensorType(y).dtype];
  if (left === "i32" && right === "f32") return [x, asWhole(b, y)];
  return left === "f32" && right === "i32" ? [asWhole(b, x), y] : [x, y];
}

/** A whole constant as i32; anything else as it is, so that the op says what is wrong. */
function asWhole(b: Builder, id: number): number {
  const { op, attributes } = b.node(id);
  const isWhole = op === "constant" && Number.isInteger(attributes.value);
  return isWhole ? b.constant(attributes.value as number, b.shape(id), "i32") : id;
}

const comparison = (name: string, op: "lt" | "eq", doc: string): Builtin => ({
  name,
  parameters: [
    { name: "x", kind: "tensor" },
    { name: "y", kind: "tensor" },
  ],
  doc,
  call: (context, args) => {
    const b = context.builder();
    return tensorValue(b.compare(op, ...ofOneType(b, args.node("x"), args.node("y"))));
  },
});

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

export const wholeNumberBuiltins: readonly Builtin[] = [
  {
    name: "largest",
    parameters: [{ name: "values", kind: "counts" }],
    doc: "The largest number of a list; 0 of none.",
    call: (_context, args) => known(Math.max(0, ...args.counts("values"))),
  },
  {
    name: "repeated",
    parameters: [
      { name: "x", kind: "number" },
      { name: "count", kind: "number" },
    ],
    doc: "A list that holds a number count times.",
    call: (_context, args) => known(new Array<number>(args.number("count")).fill(args.number("x"))),
  },
  {
    name: "integers",
    parameters: [{ name: "values", kind: "counts" }],
    doc: "A list as a tensor of whole numbers.",
    call: (context, args) => {
      const values = args.counts("values");
      return tensorValue(context.table(`integers.${context.ordinal}`, Int32Array.from(values), [values.length]));
    },
  },
  {
    name: "real",
    parameters: [{ name: "x", kind: "tensor" }],
    doc: "Whole numbers, or 1 and 0 of a comparison, as numbers to calculate with.",
    call: (context, args) => tensorValue(context.builder().cast(args.node("x"), "f32")),
  },
  comparison("less", "lt", "Where x is less than y."),
  comparison("equal", "eq", "Where x equals y."),
  {
    name: "both",
    parameters: [
      { name: "x", kind: "tensor" },
      { name: "y", kind: "tensor" },
    ],
    doc: "Where two comparisons hold.",
    call: (context, args) => tensorValue(context.builder().compare("and", args.node("x"), args.node("y"))),
  },
  {
    name: "mod",
    parameters: [
      { name: "x", kind: "tensor" },
      { name: "divisor", kind: "count" },
    ],
    doc: "What is left of whole numbers from 0 when they are divided.",
    call: (context, args) => {
      const b = context.builder();
      return tensorValue(b.add("mod", [args.node("x"), b.constantLike(args.node("x"), args.number("divisor"))]));
    },
  },
  {
    name: "each_sample",
    parameters: [{ name: "x", kind: "tensor" }],
    doc: "The tensor once for every sample of the batch, along a new first axis.",
    call: (context, args) => {
      const b = context.builder();
      const shape = b.shape(args.node("x"));
      const axes = shape.map((_n, axis) => axis + 1);
      return tensorValue(b.add("broadcast", [args.node("x")], { shape: [context.samples() ?? 1, ...shape], axes }));
    },
  },
  {
    name: "distinct_larger",
    parameters: [{ name: "x", kind: "tensor" }],
    doc: "For every whole number of a row, how many different larger ones the row has: [rows, width].",
    call: (context, args) => {
      const { dtype, shape } = context.builder().tensorType(args.node("x"));
      if (dtype !== "i32" || shape.length !== 2)
        throw context.fail("distinct_larger wants rows of whole numbers.", "i32[rows, width]", `${dtype}[${shape}]`);
      return tensorValue(distinctLarger(context.builder(), args.node("x")));
    },
  },
  {
    name: "powers",
    parameters: [
      { name: "base", kind: "number" },
      { name: "exponents", kind: "tensor" },
    ],
    doc: "A number from 0 to the power of every entry; 0 to the power of 0 is 1.",
    call: (context, args) => {
      const [b, base, exponents] = [context.builder(), args.number("base"), args.node("exponents")];
      if (base < 0) throw context.fail("powers wants a base from 0.", "at least 0", String(base));
      if (base === 1) return tensorValue(b.constantLike(exponents, 1));
      if (base === 0) return tensorValue(b.cast(b.compare("eq", exponents, b.constant(0)), "f32"));
      return tensorValue(b.add("exp", [b.scale(exponents, Math.log(base))]));
    },
  },
  {
    name: "rows_ball",
    parameters: [
      { name: "x", kind: "tensor" },
      { name: "radii", kind: "tensor" },
    ],
    doc: "A projection: every row of a matrix scaled so that its norm is at most its radius.",
    call: (context, args) => {
      const [b, x, radii] = [context.builder(), args.node("x"), args.node("radii")];
      const shape = b.shape(x);
      if (shape.length !== 2 || b.shape(radii).join() !== String(shape[0]))
        throw context.fail(
          "rows_ball wants a radius for every row of a matrix.",
          `[${shape[0]}]`,
          `[${b.shape(radii)}]`,
        );
      const norms = b.add("sqrt", [b.sum(b.mul(x, x), [1])]);
      // A radius of 0 leaves zeros of a row of zeros too.
      const most = b.add("maximum", [b.add("maximum", [norms, radii]), b.constantLike(norms, 1e-30)]);
      return tensorValue(b.mul(x, b.broadcast(b.div(radii, most), shape, [0])));
    },
  },
];
