/** Functions of numbers: one name for what is known, for lists, for numbers of the host, and for the entries of tensors and operators. */
import { type Builder, commonShape } from "../../ir/builder.ts";
import { sizeOf } from "../../ir/types.ts";
import { activate } from "../../models/activation.ts";
import { entrywise } from "../dsl/operations.ts";
import { isNumbers, known, tensorValue, type Value } from "../dsl/value.ts";
import { type Builtin, type CallContext, makesKnown, makesTensor, makesValue, optional, rest } from "./builtin.ts";

/** A function of one number; `build` is left out where no op computes it. */
const ofOne = (
  name: string,
  doc: string,
  f: (x: number) => number,
  build?: (b: Builder, x: number) => number,
): Builtin =>
  makesValue(name, { x: "value" }, doc, ({ x }, context) => {
    const made = entrywise(f, x);
    if (made?.kind === "known" && typeof made.value === "number" && !Number.isFinite(made.value))
      throw context.fail(`${name} of ${x.kind === "known" ? x.value : "x"} is not a number.`);
    if (made !== undefined) return made;
    if (build === undefined) throw context.fail("x is not known before the graph is built.", "a known number");
    return tensorValue(build(context.builder(), context.tensor(x)));
  });

const op =
  (name: string) =>
  (b: Builder, x: number): number =>
    b.add(name, [x]);

/** The smallest or largest of some values: of numbers one number, of lists too; else entry by entry. */
const ofMany = (name: string, op: string, doc: string, f: (a: number, b: number) => number): Builtin =>
  makesValue(name, { values: rest("value") }, doc, ({ values }, context) => {
    const lists = values.map((value) => (value.kind === "known" ? value.value : undefined));
    const numbers = lists.flatMap((list) =>
      typeof list === "number" || (list !== undefined && isNumbers(list)) ? list : [],
    );
    if (lists.every((list) => typeof list === "number" || (list !== undefined && isNumbers(list))))
      return known(numbers.length === 0 ? 0 : numbers.reduce(f));
    const b = context.builder();
    const bound = (x: number, value: Value): number => {
      if (value.kind === "known" && typeof value.value === "number")
        return b.add(op, [b.constantLike(x, value.value), x]);
      const y = context.tensor(value);
      const shape = commonShape(name, b.shape(x), b.shape(y));
      return b.add(op, [b.broadcastTo(y, shape), b.broadcastTo(x, shape)]);
    };
    const [first, ...others] = [...values].sort((x, y) => Number(x.kind === "known") - Number(y.kind === "known"));
    return tensorValue(others.reduce(bound, context.tensor(first!)));
  });

/** A number from 0 to the power of every entry; 0 to the power of 0 is 1. */
function powersOf(b: Builder, context: CallContext, base: number, exponents: number): number {
  if (base < 0) throw context.fail("power wants a base from 0 beside a tensor.", "at least 0", String(base));
  if (base === 1) return b.constantLike(exponents, 1);
  if (base === 0) return b.cast(b.compare("eq", exponents, b.constant(0)), "f32");
  return b.add("exp", [b.scale(exponents, Math.log(base))]);
}

export const functionBuiltins: readonly Builtin[] = [
  ofOne("sqrt", "Square root.", Math.sqrt, op("sqrt")),
  ofOne("exp", "e to the power of x.", Math.exp, op("exp")),
  ofOne("log", "Natural logarithm.", Math.log, op("log")),
  ofOne("log2", "Logarithm to base 2.", Math.log2, (b, x) => b.scale(b.add("log", [x]), Math.LOG2E)),
  ofOne("sin", "Sine.", Math.sin, op("sin")),
  ofOne("cos", "Cosine.", Math.cos, op("cos")),
  ofOne("tanh", "Hyperbolic tangent.", Math.tanh, op("tanh")),
  ofOne("sigmoid", "1 / (1 + e^-x).", (x) => 1 / (1 + Math.exp(-x)), op("sigmoid")),
  ofOne("abs", "Absolute value.", Math.abs, op("abs")),
  ofOne("floor", "The largest whole number not above x; no gradient.", Math.floor, op("floor")),
  ofOne("ceil", "The smallest whole number not below x; no gradient.", Math.ceil, (b, x) =>
    b.neg(b.add("floor", [b.neg(x)])),
  ),
  ofOne("rounded", "The nearest whole number, of two the even one.", (x) =>
    x - Math.floor(x) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x),
  ),
  ...(["relu", "silu", "gelu"] as const).map((name) =>
    makesTensor(name, { x: "tensor" }, "Activation of every entry, as PyTorch has it.", ({ x }, b) =>
      activate(b, name, x),
    ),
  ),
  makesTensor("stop_gradient", { x: "tensor" }, "The tensor, taken as a constant by the backward pass.", ({ x }, b) =>
    b.add("stop_gradient", [x]),
  ),
  ofMany(
    "min",
    "minimum",
    "The smallest of some numbers, 0 of an empty list; of tensors entry by entry, with no gradient to what is not the smallest.",
    (a, b) => Math.min(a, b),
  ),
  ofMany(
    "max",
    "maximum",
    "The largest of some numbers, 0 of an empty list; of tensors entry by entry, with no gradient to what is not the largest.",
    (a, b) => Math.max(a, b),
  ),
  makesValue(
    "power",
    { base: "value", exponent: "value" },
    "base to the power of exponent: of numbers, of a number from 0 and a tensor, of a tensor above 0 and a number.",
    ({ base, exponent }, context) => {
      const computed = entrywise((x, y) => x ** y, base, exponent);
      if (computed !== undefined) return computed;
      const b = context.builder();
      if (base.kind === "known" && typeof base.value === "number")
        return tensorValue(powersOf(b, context, base.value, context.tensor(exponent)));
      const x = context.tensor(base);
      if (exponent.kind !== "known" || typeof exponent.value !== "number")
        throw context.fail("One of base and exponent must be a known number.");
      return tensorValue(
        exponent.value === 2 ? b.mul(x, x) : b.add("exp", [b.scale(b.add("log", [x]), exponent.value)]),
      );
    },
  ),
  makesValue(
    "mod",
    { x: "value", divisor: "count" },
    "What is left of whole numbers from 0 when they are divided.",
    ({ x, divisor }, context) => {
      const computed = entrywise((n) => n % divisor, x);
      if (computed !== undefined) return computed;
      const [b, id] = [context.builder(), context.tensor(x)];
      return tensorValue(b.add("mod", [id, b.constantLike(id, divisor)]));
    },
  ),
  makesTensor(
    "sum",
    { x: "tensor", axes: optional("known", null) },
    "Sum over some axes, which disappear; over all of them unless given.",
    ({ x, axes }, b, context) => {
      const all = [...b.shape(x).keys()];
      if (axes !== null && !(isNumbers(axes) && axes.every((axis) => all.includes(axis))))
        throw context.fail("argument axes does not fit.", `a list of 0 to ${all.length - 1}`, JSON.stringify(axes));
      return b.sum(x, axes === null ? all : [...axes].sort((m, n) => m - n));
    },
  ),
  makesKnown(
    "size",
    { x: "value", axis: optional("known", null) },
    "Extent of one axis of a tensor; how many numbers a list has.",
    ({ x, axis }, context) => {
      if (x.kind === "known" && isNumbers(x.value) && axis === null) return x.value.length;
      if (x.kind === "known")
        throw context.fail("argument x does not fit.", "a list of known whole numbers", JSON.stringify(x.value));
      const shape = context.builder().shape(context.tensor(x));
      const extent = axis === null ? sizeOf(shape) : shape[axis as number];
      if (extent === undefined) throw context.fail(`The tensor has no axis ${axis}.`);
      return extent;
    },
  ),
];
