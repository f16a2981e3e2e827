/** Builtins on tensors: elementwise functions, shapes, contractions. */
import { type Builder, commonShape } from "../../ir/builder.ts";
import { known, operatorValue, tensorValue, type Value } from "../dsl/value.ts";
import type { Builtin, CallContext } from "./builtin.ts";
import { ofOneType } from "./whole-numbers.ts";

const elementwise = (name: string, op: string, doc: string): Builtin => ({
  name,
  parameters: [{ name: "x", kind: "tensor" }],
  doc,
  call: (context, args) => tensorValue(context.builder().add(op, [args.node("x")])),
});

/** A tensor with all axes of extent 1 dropped, but for the last axis of a tensor of one element. */
export function squeezed(context: CallContext, id: number): number {
  const builder = context.builder();
  const shape = builder.shape(id);
  const kept = shape.filter((n) => n !== 1);
  return builder.reshape(id, kept.length === 0 ? shape.slice(-1) : kept);
}

/** 2 pi (index * frequency mod size) / size, for every index 0 .. size - 1 and frequency: [size, K]. Whole numbers stay below 2^31. */
function angles(context: CallContext, frequencies: number, size: number): Value {
  const b = context.builder();
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
  return tensorValue(b.scale(b.cast(rest(product), "f32"), (2 * Math.PI) / size));
}

/** 1 at the `count` largest entries of every vector along the last axis, of equal ones at the first; else 0. */
export function largestEntries(b: Builder, x: number, count: number): { mask: number; most: number } {
  const shape = b.shape(x);
  const [leading, width] = [[...shape.keys()].slice(0, -1), shape.at(-1)!];
  const wide = (id: number): number => b.broadcast(id, shape, leading);
  const most = (id: number): number => b.max(id, [leading.length]);
  // Numbers that fall along the axis: the largest of some belongs to the first of them.
  const order = b.sub(b.constant(width, shape), b.cast(b.iota(shape, leading.length), "f32"));
  const [zero, gone] = [b.zerosLike(x), b.constant(-3e38, shape)];
  let [left, mask] = [x, zero];
  for (let i = 0; i < count; i++) {
    const candidates = b.select(b.add("eq", [left, wide(most(left))]), order, zero);
    const chosen = b.add("eq", [candidates, wide(most(candidates))]);
    mask = b.plus(mask, b.cast(chosen, "f32"));
    left = b.select(chosen, gone, left);
  }
  return { mask, most: most(x) };
}

/** Softmax over the largest entries along the last axis; 0 at the others, and no gradient to them. */
function topKSoftmax(b: Builder, x: number, count: number): number {
  const shape = b.shape(x);
  const leading = [...shape.keys()].slice(0, -1);
  const { mask, most } = largestEntries(b, b.add("stop_gradient", [x]), count);
  const powers = b.mul(b.add("exp", [b.sub(x, b.broadcast(most, shape, leading))]), mask);
  return b.div(powers, b.broadcast(b.sum(powers, [leading.length]), shape, leading));
}

export const tensorBuiltins: readonly Builtin[] = [
  elementwise("exp", "exp", "e to the power of every entry."),
  elementwise("log", "log", "Natural logarithm of every entry."),
  elementwise("sin", "sin", "Sine of every entry."),
  elementwise("cos", "cos", "Cosine of every entry."),
  elementwise("tanh", "tanh", "Hyperbolic tangent of every entry."),
  elementwise("sigmoid", "sigmoid", "1 / (1 + e^-x) of every entry."),
  elementwise("abs", "abs", "Absolute value of every entry."),
  elementwise("root", "sqrt", "Square root of every entry."),
  elementwise("stop_gradient", "stop_gradient", "The tensor, taken as a constant by the backward pass."),
  {
    name: "at_least",
    parameters: [
      { name: "x", kind: "tensor" },
      { name: "minimum", kind: "number" },
    ],
    doc: "Every entry, or minimum where it is below; no gradient from there.",
    call: (context, args) => {
      const builder = context.builder();
      const x = args.node("x");
      return tensorValue(builder.add("maximum", [builder.constantLike(x, args.number("minimum")), x]));
    },
  },
  {
    name: "top_k_softmax",
    parameters: [
      { name: "x", kind: "tensor" },
      { name: "k", kind: "count" },
    ],
    doc: "Softmax over the k largest entries along the last axis, of equal ones the first; 0 at the others.",
    call: (context, args) => {
      const [x, k] = [args.node("x"), args.number("k")];
      const width = context.builder().shape(x).at(-1) ?? 0;
      if (k > width) throw context.fail("There are not as many entries.", `at most ${width}`, String(k));
      return tensorValue(topKSoftmax(context.builder(), x, k));
    },
  },
  {
    name: "softmax",
    parameters: [{ name: "x", kind: "tensor" }],
    doc: "Softmax along the last axis.",
    call: (context, args) => {
      const [b, x] = [context.builder(), args.node("x")];
      const shape = b.shape(x);
      const leading = [...shape.keys()].slice(0, -1);
      const wide = (id: number): number => b.broadcast(id, shape, leading);
      const most = b.add("stop_gradient", [b.max(x, [leading.length])]);
      const powers = b.add("exp", [b.sub(x, wide(most))]);
      return tensorValue(b.div(powers, wide(b.sum(powers, [leading.length]))));
    },
  },
  {
    name: "apply",
    parameters: [
      { name: "operator", kind: "operator" },
      { name: "x", kind: "tensor" },
    ],
    doc: "Every vector along the last axis of x through the operator: y[..., out] of x[..., in].",
    call: (context, args) => tensorValue(context.builder().apply(args.node("operator"), args.node("x"))),
  },
  {
    name: "strictly_upper",
    parameters: [{ name: "x", kind: "tensor" }],
    doc: "A matrix with everything on and below its diagonal replaced by 0.",
    call: (context, args) => {
      const builder = context.builder();
      const x = args.node("x");
      const shape = builder.shape(x);
      if (shape.length !== 2) throw context.fail("strictly_upper wants a matrix.", "[n, m]", `[${shape.join(", ")}]`);
      const above = builder.add("lt", [builder.iota(shape, 0), builder.iota(shape, 1)]);
      return tensorValue(builder.select(above, x, builder.zerosLike(x)));
    },
  },
  {
    name: "inverse",
    parameters: [{ name: "x", kind: "tensor" }],
    doc: "Inverse of a square matrix.",
    call: (context, args) => {
      const builder = context.builder();
      const [n, m, more] = builder.shape(args.node("x"));
      if (n === undefined || n !== m || more !== undefined)
        throw context.fail("inverse wants a square matrix.", "[n, n]", `[${builder.shape(args.node("x")).join(", ")}]`);
      const blocks = builder.reshape(args.node("x"), [1, n, n]);
      return tensorValue(builder.reshape(builder.add("inverse", [blocks]), [n, n]));
    },
  },
  {
    name: "flatten",
    parameters: [{ name: "x", kind: "tensor" }],
    doc: "The entries of a tensor as a vector.",
    call: (context, args) => {
      const builder = context.builder();
      return tensorValue(builder.reshape(args.node("x"), [builder.shape(args.node("x")).reduce((p, n) => p * n, 1)]));
    },
  },
  {
    name: "reshape",
    parameters: [
      { name: "x", kind: "tensor" },
      { name: "shape", kind: "counts" },
    ],
    doc: "The same entries, row-major, under another shape.",
    call: (context, args) => tensorValue(context.builder().reshape(args.node("x"), args.counts("shape"))),
  },
  {
    name: "transpose",
    parameters: [
      { name: "x", kind: "tensor" },
      { name: "axes", kind: "counts" },
    ],
    doc: "Axis i of the result is axis axes[i] of x.",
    call: (context, args) => tensorValue(context.builder().transpose(args.node("x"), args.counts("axes"))),
  },
  {
    name: "concat",
    parameters: [
      { name: "axis", kind: "number" },
      { name: "parts", kind: "tensor", rest: true },
    ],
    doc: "Tensors one after the other along an axis.",
    call: (context, args) => tensorValue(context.builder().concat(args.nodes("parts"), args.number("axis"))),
  },
  {
    name: "sum",
    parameters: [
      { name: "x", kind: "tensor" },
      { name: "axes", kind: "counts" },
    ],
    doc: "Sum over some axes, which disappear.",
    call: (context, args) =>
      tensorValue(
        context.builder().sum(
          args.node("x"),
          [...args.counts("axes")].sort((a, b) => a - b),
        ),
      ),
  },
  {
    name: "where",
    parameters: [
      { name: "condition", kind: "tensor" },
      { name: "yes", kind: "tensor" },
      { name: "no", kind: "tensor" },
    ],
    doc: "Entries of yes where condition is not 0, else of no; the shapes go together as those of a sum do.",
    call: (context, args) => {
      const b = context.builder();
      const [yes, no] = ofOneType(b, args.node("yes"), args.node("no"));
      const condition = b.cast(args.node("condition"), "bool");
      const shape = commonShape("where", commonShape("where", b.shape(yes), b.shape(no)), b.shape(condition));
      const [c, x, y] = [condition, yes, no].map((id) => b.broadcastTo(id, shape)) as [number, number, number];
      return tensorValue(b.select(c, x, y));
    },
  },
  {
    name: "gather",
    parameters: [
      { name: "table", kind: "tensor" },
      { name: "indices", kind: "tensor" },
    ],
    doc: "Rows of a table by whole numbers.",
    call: (context, args) => tensorValue(context.builder().add("gather", [args.node("table"), args.node("indices")])),
  },
  {
    name: "einsum",
    parameters: [
      { name: "spec", kind: "text" },
      { name: "a", kind: "tensor" },
      { name: "b", kind: "tensor" },
    ],
    doc: 'Contraction of two tensors, e.g. einsum("ij,jk->ik", a, b).',
    call: (context, args) => tensorValue(context.builder().einsum(args.text("spec"), args.node("a"), args.node("b"))),
  },
  {
    name: "angles",
    parameters: [
      { name: "frequencies", kind: "tensor" },
      { name: "size", kind: "count" },
    ],
    doc: "2 pi (p u_k mod size) / size for p in 0 .. size - 1 and whole frequencies u [K]: [size, K], reduced before it is rounded.",
    call: (context, args) => angles(context, args.node("frequencies"), args.number("size")),
  },
  {
    name: "size",
    parameters: [
      { name: "x", kind: "tensor" },
      { name: "axis", kind: "number" },
    ],
    doc: "Extent of one axis of a tensor.",
    call: (context, args) => {
      const extent = context.builder().shape(args.node("x"))[args.number("axis")];
      if (extent === undefined) throw context.fail(`The tensor has no axis ${args.number("axis")}.`);
      return known(extent);
    },
  },
  {
    name: "dense",
    parameters: [{ name: "operator", kind: "operator" }],
    doc: "The matrix of an operator, as a tensor.",
    call: (context, args) => tensorValue(context.builder().add("op.to_dense", [args.node("operator")])),
  },
  {
    name: "matrix",
    parameters: [{ name: "x", kind: "tensor" }],
    doc: "A tensor of two axes as an operator.",
    call: (context, args) => operatorValue(context.builder().dense(args.node("x"))),
  },
];
