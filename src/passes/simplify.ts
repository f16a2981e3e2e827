/**
 * Simplification of tensor IR after differentiation: constant folding, neutral elements, movement ops that meet, transposes absorbed into
 * contractions. Common subexpressions are shared by the builder, dead nodes are dropped by the driver.
 */
import { opRecord, opRecords } from "../ir/registry.ts";
import { fitsF32, sizeOf } from "../ir/types.ts";
import { scalarConstant } from "./operator-view.ts";
import { list, type Rewriter, type Rule, typeOf } from "./rewrite.ts";
import { movementRules } from "./simplify-movement.ts";

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
  "erf",
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

/** A rule for a binary op with a constant on one side: `pick` gets the other operand. */
function neutral(
  called: Pick<Rule, "name" | "doc">,
  op: string,
  side: "left" | "right",
  value: number,
  pick: (other: number, r: Rewriter) => number,
): Rule {
  return {
    ...called,
    ops: [op],
    ofConstants: true,
    rewrite: (c, r) => {
      const [constant, other] = side === "left" ? [c.inputs[0]!, c.inputs[1]!] : [c.inputs[1]!, c.inputs[0]!];
      return scalarConstant(r, constant) === value ? pick(other, r) : undefined;
    },
  };
}

const arithmeticRules: readonly Rule[] = [
  {
    name: "fold-constants",
    ops: foldable,
    ofConstants: true,
    doc: "an op on constants -> its value",
    rewrite: (c, r) => {
      const values = c.inputs.map((i) => scalarConstant(r, i));
      if (values.some((v) => v === undefined)) return undefined;
      const type = typeOf(c, r);
      const one = values.map((v) => ({ shape: [], data: Float64Array.of(v!) }));
      const value = opRecord(c.op).eval!(one, c.attributes, { ...type, shape: [] }).data[0]!;
      return fitsF32(value) ? r.constant(value, type.shape, type.dtype) : undefined;
    },
  },
  neutral({ name: "add-zero", doc: "0 + x -> x" }, "add", "left", 0, (x) => x),
  neutral({ name: "add-zero", doc: "x + 0 -> x" }, "add", "right", 0, (x) => x),
  neutral({ name: "subtract-zero", doc: "x - 0 -> x" }, "sub", "right", 0, (x) => x),
  neutral({ name: "subtract-from-zero", doc: "0 - x -> -x" }, "sub", "left", 0, (x, r) => r.neg(x)),
  neutral({ name: "multiply-one", doc: "1 x -> x" }, "mul", "left", 1, (x) => x),
  neutral({ name: "multiply-one", doc: "x 1 -> x" }, "mul", "right", 1, (x) => x),
  neutral({ name: "multiply-zero", doc: "0 x -> 0" }, "mul", "left", 0, (x, r) => r.zerosLike(x)),
  neutral({ name: "multiply-zero", doc: "x 0 -> 0" }, "mul", "right", 0, (x, r) => r.zerosLike(x)),
  neutral({ name: "multiply-minus-one", doc: "x (-1) -> -x" }, "mul", "right", -1, (x, r) => r.neg(x)),
  neutral({ name: "divide-by-one", doc: "x / 1 -> x" }, "div", "right", 1, (x) => x),
  {
    name: "multiply-constants",
    ops: ["mul"],
    ofConstants: true,
    doc: "(x a) b -> x (a b) for constants a, b",
    rewrite: (c, r) => {
      const b = scalarConstant(r, c.inputs[1]!);
      const node = r.node(c.inputs[0]!);
      const a = node.op === "mul" ? scalarConstant(r, node.inputs[1]!) : undefined;
      return a === undefined || b === undefined || !fitsF32(a * b) ? undefined : r.scale(node.inputs[0]!, a * b);
    },
  },
  {
    name: "constant-to-the-right",
    ops: ["mul", "add"],
    ofConstants: true,
    doc: "a x -> x a for a constant a",
    rewrite: (c, r) => {
      const constantFirst =
        scalarConstant(r, c.inputs[0]!) !== undefined && scalarConstant(r, c.inputs[1]!) === undefined;
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
      const condition = scalarConstant(r, c.inputs[0]!);
      return condition === undefined ? undefined : condition !== 0 ? c.inputs[1] : c.inputs[2];
    },
  },
];

export const expandRules: readonly Rule[] = [
  {
    name: "expand",
    ops: opRecords().flatMap(({ name, expand }) => (expand === undefined ? [] : [name])),
    doc: "a composite op -> the formula that it is, since derivatives are taken",
    rewrite: (c, r) => opRecord(c.op).expand!(r, c.inputs, c.attributes),
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
    ofConstants: true,
    doc: "a contraction with zeros -> zeros",
    rewrite: (c, r) =>
      c.inputs.some((i) => scalarConstant(r, i) === 0) ? r.constant(0, typeOf(c, r).shape) : undefined,
  },
  {
    name: "sum-of-constant",
    ops: ["sum"],
    ofConstants: true,
    doc: "sum of a constant -> constant times count",
    rewrite: (c, r) => {
      const value = scalarConstant(r, c.inputs[0]!);
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

export const simplifyRules: readonly Rule[] = [
  ...expandRules,
  ...movementRules,
  ...arithmeticRules,
  ...contractionRules,
];
