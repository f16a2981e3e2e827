/**
 * Simplification of tensor IR after differentiation: constant folding, neutral elements, movement ops that meet, transposes absorbed into
 * contractions. Common subexpressions are shared by the builder, dead nodes are dropped by the driver.
 */
import { opRecord } from "../ir/registry.ts";
import { sameShape, sizeOf, type TensorType } from "../ir/types.ts";
import type { Candidate, Rewriter, Rule } from "./rewrite.ts";

const constantOf = (r: Rewriter, id: number): number | undefined => {
  const node = r.node(id);
  return node.op === "constant" ? (node.attributes.value as number) : undefined;
};

const list = (value: unknown): readonly number[] => value as readonly number[];

const foldable = [
  "neg",
  "exp",
  "log",
  "sqrt",
  "rsqrt",
  "reciprocal",
  "sin",
  "cos",
  "tanh",
  "sigmoid",
  "abs",
  "sign",
  "floor",
  "add",
  "sub",
  "mul",
  "div",
  "maximum",
  "minimum",
  "mod",
  "lt",
  "le",
  "eq",
  "and",
  "not",
  "select",
  "cast",
];

/** The result type the op would have. */
const typeOf = (c: Candidate, r: Rewriter): TensorType =>
  opRecord(c.op).infer(
    c.inputs.map((i) => r.type(i)),
    c.attributes,
  ) as TensorType;

/** A rule for a binary op with a constant on one side: `pick` gets the other operand. */
function neutral(
  name: string,
  op: string,
  doc: string,
  side: "left" | "right",
  value: number,
  pick: (other: number, r: Rewriter) => number,
): Rule {
  return {
    name,
    ops: [op],
    doc,
    rewrite: (c, r) => {
      const [constant, other] = side === "left" ? [c.inputs[0]!, c.inputs[1]!] : [c.inputs[1]!, c.inputs[0]!];
      return constantOf(r, constant) === value ? pick(other, r) : undefined;
    },
  };
}

const movementRules: readonly Rule[] = [
  {
    name: "move-constant",
    ops: ["reshape", "transpose", "broadcast", "slice"],
    doc: "a view of a constant -> the constant in the new shape",
    rewrite: (c, r) => {
      const value = constantOf(r, c.inputs[0]!);
      const type = typeOf(c, r);
      return value === undefined ? undefined : r.constant(value, type.shape, type.dtype);
    },
  },
  {
    name: "reshape-of-reshape",
    ops: ["reshape"],
    doc: "reshape(reshape(x)) -> reshape(x), and x when the shape is its own",
    rewrite: (c, r) => {
      const node = r.node(c.inputs[0]!);
      const inner = node.op === "reshape" ? node.inputs[0]! : c.inputs[0]!;
      if (sameShape(r.shape(inner), list(c.attributes.shape))) return inner;
      return node.op === "reshape" ? r.reshape(inner, list(c.attributes.shape)) : undefined;
    },
  },
  {
    name: "transpose-of-transpose",
    ops: ["transpose"],
    doc: "transpose(transpose(x)) -> one transpose, or x",
    rewrite: (c, r) => {
      const node = r.node(c.inputs[0]!);
      const outer = list(c.attributes.permutation);
      if (outer.every((axis, i) => axis === i)) return c.inputs[0];
      return node.op === "transpose"
        ? r.transpose(
            node.inputs[0]!,
            outer.map((axis) => list(node.attributes.permutation)[axis]!),
          )
        : undefined;
    },
  },
  {
    name: "transpose-as-reshape",
    ops: ["transpose"],
    doc: "a transpose that moves only axes of extent 1 -> reshape",
    rewrite: (c, r) => {
      const shape = r.shape(c.inputs[0]!);
      const moved = list(c.attributes.permutation).filter((axis) => shape[axis] !== 1);
      if (!moved.every((axis, i) => i === 0 || moved[i - 1]! < axis)) return undefined;
      return r.reshape(
        c.inputs[0]!,
        list(c.attributes.permutation).map((axis) => shape[axis]!),
      );
    },
  },
  {
    name: "broadcast-of-broadcast",
    ops: ["broadcast"],
    doc: "broadcast(broadcast(x)) -> one broadcast",
    rewrite: (c, r) => {
      const node = r.node(c.inputs[0]!);
      if (sameShape(r.shape(c.inputs[0]!), list(c.attributes.shape))) return c.inputs[0];
      if (node.op !== "broadcast") return undefined;
      return r.broadcast(
        node.inputs[0]!,
        list(c.attributes.shape),
        list(node.attributes.axes).map((axis) => list(c.attributes.axes)[axis]!),
      );
    },
  },
  {
    name: "whole-slice",
    ops: ["slice"],
    doc: "a slice of everything -> x",
    rewrite: (c, r) => {
      const shape = r.shape(c.inputs[0]!);
      const whole = list(c.attributes.start).every((s, i) => s === 0 && list(c.attributes.limit)[i] === shape[i]);
      return whole ? c.inputs[0] : undefined;
    },
  },
  {
    name: "slice-of-pad",
    ops: ["slice"],
    doc: "slice(pad(x)) that cuts the padding off -> x",
    rewrite: (c, r) => {
      const node = r.node(c.inputs[0]!);
      if (node.op !== "pad") return undefined;
      const shape = r.shape(node.inputs[0]!);
      const low = list(node.attributes.low);
      const exact = list(c.attributes.start).every(
        (s, i) => s === low[i] && list(c.attributes.limit)[i] === low[i]! + shape[i]!,
      );
      return exact ? node.inputs[0] : undefined;
    },
  },
];

const arithmeticRules: readonly Rule[] = [
  {
    name: "fold-constants",
    ops: foldable,
    doc: "an op on constants -> its value",
    rewrite: (c, r) => {
      const values = c.inputs.map((i) => constantOf(r, i));
      if (values.some((v) => v === undefined)) return undefined;
      const type = typeOf(c, r);
      const one = values.map((v) => ({ shape: [], data: Float64Array.of(v!) }));
      const value = opRecord(c.op).eval!(one, c.attributes, { ...type, shape: [] }).data[0]!;
      return Number.isFinite(value) ? r.constant(value, type.shape, type.dtype) : undefined;
    },
  },
  neutral("add-zero", "add", "0 + x -> x", "left", 0, (x) => x),
  neutral("add-zero", "add", "x + 0 -> x", "right", 0, (x) => x),
  neutral("subtract-zero", "sub", "x - 0 -> x", "right", 0, (x) => x),
  neutral("subtract-from-zero", "sub", "0 - x -> -x", "left", 0, (x, r) => r.neg(x)),
  neutral("multiply-one", "mul", "1 x -> x", "left", 1, (x) => x),
  neutral("multiply-one", "mul", "x 1 -> x", "right", 1, (x) => x),
  neutral("multiply-zero", "mul", "0 x -> 0", "left", 0, (x, r) => r.zerosLike(x)),
  neutral("multiply-zero", "mul", "x 0 -> 0", "right", 0, (x, r) => r.zerosLike(x)),
  neutral("multiply-minus-one", "mul", "x (-1) -> -x", "right", -1, (x, r) => r.neg(x)),
  neutral("divide-by-one", "div", "x / 1 -> x", "right", 1, (x) => x),
  {
    name: "multiply-constants",
    ops: ["mul"],
    doc: "(x a) b -> x (a b) for constants a, b",
    rewrite: (c, r) => {
      const b = constantOf(r, c.inputs[1]!);
      const node = r.node(c.inputs[0]!);
      const a = node.op === "mul" ? constantOf(r, node.inputs[1]!) : undefined;
      return a === undefined || b === undefined ? undefined : r.scale(node.inputs[0]!, a * b);
    },
  },
  {
    name: "constant-to-the-right",
    ops: ["mul", "add"],
    doc: "a x -> x a for a constant a",
    rewrite: (c, r) => {
      const constantFirst = constantOf(r, c.inputs[0]!) !== undefined && constantOf(r, c.inputs[1]!) === undefined;
      return constantFirst ? r.add(c.op, [c.inputs[1]!, c.inputs[0]!]) : undefined;
    },
  },
  {
    name: "negate-negation",
    ops: ["neg"],
    doc: "-(-x) -> x",
    rewrite: (c, r) => (r.node(c.inputs[0]!).op === "neg" ? r.node(c.inputs[0]!).inputs[0] : undefined),
  },
  {
    name: "add-negation",
    ops: ["add", "sub"],
    doc: "x + (-y) -> x - y; x - (-y) -> x + y",
    rewrite: (c, r) => {
      const node = r.node(c.inputs[1]!);
      return node.op === "neg" ? r.add(c.op === "add" ? "sub" : "add", [c.inputs[0]!, node.inputs[0]!]) : undefined;
    },
  },
  {
    name: "stop-gradient",
    ops: ["stop_gradient"],
    doc: "stop_gradient(x) -> x, since derivatives are taken",
    rewrite: (c) => c.inputs[0],
  },
  {
    name: "idle-cast",
    ops: ["cast"],
    doc: "a cast to the own dtype -> x",
    rewrite: (c, r) => (r.tensorType(c.inputs[0]!).dtype === c.attributes.dtype ? c.inputs[0] : undefined),
  },
  {
    name: "constant-select",
    ops: ["select"],
    doc: "select(true, a, b) -> a; select(c, a, a) -> a",
    rewrite: (c, r) => {
      if (c.inputs[1] === c.inputs[2]) return c.inputs[1];
      const condition = constantOf(r, c.inputs[0]!);
      return condition === undefined ? undefined : condition !== 0 ? c.inputs[1] : c.inputs[2];
    },
  },
];

const contractionRules: readonly Rule[] = [
  {
    name: "transpose-into-einsum",
    ops: ["einsum"],
    doc: "einsum of a transposed operand -> einsum with its letters permuted",
    rewrite: (c, r) => {
      const [a, b, out] = (c.attributes.spec as string).split(/,|->/) as [string, string, string];
      const letters = [a, b];
      const operands = c.inputs.map((input, i) => {
        const node = r.node(input);
        if (node.op !== "transpose") return input;
        const permutation = list(node.attributes.permutation);
        letters[i] = permutation.map((_axis, at) => letters[i]![permutation.indexOf(at)]!).join("");
        return node.inputs[0]!;
      });
      return operands.every((o, i) => o === c.inputs[i])
        ? undefined
        : r.einsum(`${letters[0]},${letters[1]}->${out}`, operands[0]!, operands[1]!);
    },
  },
  {
    name: "einsum-of-zeros",
    ops: ["einsum"],
    doc: "a contraction with zeros -> zeros",
    rewrite: (c, r) => (c.inputs.some((i) => constantOf(r, i) === 0) ? r.constant(0, typeOf(c, r).shape) : undefined),
  },
  {
    name: "sum-of-constant",
    ops: ["sum"],
    doc: "sum of a constant -> constant times count",
    rewrite: (c, r) => {
      const value = constantOf(r, c.inputs[0]!);
      if (value === undefined) return undefined;
      const type = typeOf(c, r);
      return r.constant((value * sizeOf(r.shape(c.inputs[0]!))) / sizeOf(type.shape), type.shape);
    },
  },
  {
    name: "sum-of-one",
    ops: ["sum"],
    doc: "sum over axes of extent 1 -> reshape",
    rewrite: (c, r) => {
      const shape = r.shape(c.inputs[0]!);
      return list(c.attributes.axes).every((axis) => shape[axis] === 1)
        ? r.reshape(c.inputs[0]!, typeOf(c, r).shape)
        : undefined;
    },
  },
];

export const simplifyRules: readonly Rule[] = [...movementRules, ...arithmeticRules, ...contractionRules];
