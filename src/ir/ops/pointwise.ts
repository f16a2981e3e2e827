/**
 * Pointwise ops: inputs of one shape, result of that shape. Broadcasting is an op of its own, so a pointwise op never looks at shapes.
 */
import { erf } from "../erf.ts";
import type { Attributes } from "../graph.ts";
import type { OpRecord, VjpContext } from "../op-record.ts";
import { asTensor, requireThat, streamingCost } from "./common.ts";
import { evaluate, sameTypes, sample } from "./pointwise-common.ts";

type Gradient = (context: VjpContext, x: number, y: number, g: number) => number;

/** A unary f32 op. `gradient` gets the ids of input x, result y and cotangent g. */
function unary(
  name: string,
  doc: string,
  f: (x: number) => number,
  wgsl: (x: string) => string,
  gradient: Gradient | "nondifferentiable",
  flops = 1,
  range: readonly [number, number] = [-1, 1],
): OpRecord {
  return {
    name,
    opClass: "pointwise",
    arity: 1,
    doc,
    infer: (inputs) => {
      const type = asTensor(name, inputs[0]);
      requireThat(type.dtype === "f32", name, "f32", inputs);
      return type;
    },
    eval: evaluate(f),
    vjp: gradient === "nondifferentiable" ? gradient : (c) => [gradient(c, c.inputs[0]!, c.output, c.cotangent)],
    cost: (inputs, _attributes, type) => streamingCost(inputs, type, flops),
    samples: () => sample(1, range),
    wgsl: (args) => wgsl(args[0]!),
  };
}

function binary(
  name: string,
  doc: string,
  f: (a: number, b: number) => number,
  wgsl: (a: string, b: string, attributes: Attributes) => string,
  gradient: ((c: VjpContext, a: number, b: number, g: number) => readonly (number | null)[]) | "nondifferentiable",
  range: readonly [number, number] = [-1, 1],
): OpRecord {
  return {
    name,
    opClass: "pointwise",
    arity: 2,
    doc,
    infer: (inputs) => {
      const type = sameTypes(name, inputs);
      requireThat(type.dtype === "f32" || type.dtype === "i32" || type.dtype === "u32", name, "numbers", inputs);
      return type;
    },
    eval: evaluate(f),
    vjp: gradient === "nondifferentiable" ? gradient : (c) => gradient(c, c.inputs[0]!, c.inputs[1]!, c.cotangent),
    cost: (inputs, _attributes, type) => streamingCost(inputs, type, 1),
    samples: () => sample(2, range),
    wgsl: (args, attributes) => wgsl(args[0]!, args[1]!, attributes),
  };
}

const positive: readonly [number, number] = [0.2, 2];

/** Piecewise choice of a gradient for `maximum` and `minimum`: all of it goes to the chosen input, a on a tie. */
function chosen(compare: "le" | "lt", aFirst: boolean) {
  return (c: VjpContext, a: number, b: number, g: number): readonly number[] => {
    const k = c.builder;
    const bWins = aFirst ? k.add(compare, [a, b]) : k.add(compare, [b, a]);
    const zero = k.zerosLike(g);
    return [k.add("select", [bWins, zero, g]), k.add("select", [bWins, g, zero])];
  };
}

export const pointwiseOps: readonly OpRecord[] = [
  unary(
    "neg",
    "-x",
    (x) => -x,
    (x) => `(-${x})`,
    (c, _x, _y, g) => c.builder.neg(g),
  ),
  unary(
    "exp",
    "e^x",
    Math.exp,
    (x) => `exp(${x})`,
    (c, _x, y, g) => c.builder.mul(g, y),
    8,
  ),
  unary(
    "log",
    "natural logarithm",
    Math.log,
    (x) => `log(${x})`,
    (c, x, _y, g) => c.builder.div(g, x),
    8,
    positive,
  ),
  unary(
    "sqrt",
    "square root",
    Math.sqrt,
    (x) => `sqrt(${x})`,
    (c, _x, y, g) => c.builder.div(c.builder.scale(g, 0.5), y),
    4,
    positive,
  ),
  unary(
    "rsqrt",
    "1 / sqrt(x)",
    (x) => 1 / Math.sqrt(x),
    (x) => `inverseSqrt(${x})`,
    (c, x, y, g) => c.builder.scale(c.builder.div(c.builder.mul(g, y), x), -0.5),
    4,
    positive,
  ),
  unary(
    "reciprocal",
    "1 / x",
    (x) => 1 / x,
    (x) => `(1.0 / ${x})`,
    (c, _x, y, g) => c.builder.neg(c.builder.mul(g, c.builder.mul(y, y))),
    4,
    positive,
  ),
  unary(
    "sin",
    "sine",
    Math.sin,
    (x) => `sin(${x})`,
    (c, x, _y, g) => c.builder.mul(g, c.builder.add("cos", [x])),
    8,
  ),
  unary(
    "cos",
    "cosine",
    Math.cos,
    (x) => `cos(${x})`,
    (c, x, _y, g) => c.builder.neg(c.builder.mul(g, c.builder.add("sin", [x]))),
    8,
  ),
  unary(
    "tanh",
    "hyperbolic tangent",
    Math.tanh,
    (x) => `tanh(${x})`,
    (c, _x, y, g) => c.builder.mul(g, c.builder.sub(c.builder.constantLike(y, 1), c.builder.mul(y, y))),
    8,
  ),
  unary(
    "erf",
    "error function, 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x",
    erf,
    (x) => `erf_number(${x})`,
    (c, x, _y, g) => {
      const bell = c.builder.add("exp", [c.builder.neg(c.builder.mul(x, x))]);
      return c.builder.mul(g, c.builder.scale(bell, 2 / Math.sqrt(Math.PI)));
    },
    12,
    [-2, 2],
  ),
  unary(
    "sigmoid",
    "1 / (1 + e^-x)",
    (x) => 1 / (1 + Math.exp(-x)),
    (x) => `(1.0 / (1.0 + exp(-${x})))`,
    (c, _x, y, g) => c.builder.mul(g, c.builder.mul(y, c.builder.sub(c.builder.constantLike(y, 1), y))),
    10,
  ),
  unary(
    "abs",
    "absolute value; gradient 0 at 0",
    Math.abs,
    (x) => `abs(${x})`,
    (c, x, _y, g) => c.builder.mul(g, c.builder.add("sign", [x])),
    1,
  ),
  unary("sign", "-1, 0 or 1", Math.sign, (x) => `sign(${x})`, "nondifferentiable"),
  unary("floor", "largest integer not above x", Math.floor, (x) => `floor(${x})`, "nondifferentiable"),
  {
    ...unary(
      "stop_gradient",
      "x, with no gradient",
      (x) => x,
      (x) => x,
      "nondifferentiable",
      0,
    ),
    vjp: () => [null],
  },
  binary(
    "add",
    "a + b",
    (a, b) => a + b,
    (a, b) => `(${a} + ${b})`,
    (_c, _a, _b, g) => [g, g],
  ),
  binary(
    "sub",
    "a - b",
    (a, b) => a - b,
    (a, b) => `(${a} - ${b})`,
    (c, _a, _b, g) => [g, c.builder.neg(g)],
  ),
  binary(
    "mul",
    "a * b",
    (a, b) => a * b,
    (a, b) => `(${a} * ${b})`,
    (c, a, b, g) => [c.builder.mul(g, b), c.builder.mul(g, a)],
  ),
  binary(
    "div",
    "a / b",
    (a, b) => a / b,
    (a, b) => `(${a} / ${b})`,
    (c, a, b, g) => {
      const ga = c.builder.div(g, b);
      return [ga, c.builder.neg(c.builder.div(c.builder.mul(ga, a), b))];
    },
    positive,
  ),
  binary(
    "maximum",
    "the larger of a and b",
    (a, b) => Math.max(a, b),
    (a, b) => `max(${a}, ${b})`,
    chosen("lt", true),
  ),
  binary(
    "minimum",
    "the smaller of a and b",
    (a, b) => Math.min(a, b),
    (a, b) => `min(${a}, ${b})`,
    chosen("lt", false),
  ),
  binary(
    "mod",
    "a mod b for non-negative integers, or floats by truncation",
    (a, b) => a % b,
    (a, b) => `(${a} % ${b})`,
    "nondifferentiable",
    positive,
  ),
];
