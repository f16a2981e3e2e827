/** The kinds of expressions of kernel IR, one record each: what is inside, how it is printed, what its value is, and when it is well formed. */
import { opRecord } from "../../ir/registry.ts";
import { openUniform, streamKey, threefry } from "../../ir/threefry.ts";
import type { Checker, Machine, Value, WgslWriter } from "./contexts.ts";
import { type Expr, lanesOf, type Scalar } from "./kernel.ts";
import { arithmetic, fromBits, operators, pointwise, rounded } from "./numbers.ts";

type ExprOf<K extends Expr["kind"]> = Extract<Expr, { readonly kind: K }>;

interface ExprRecord<E extends Expr> {
  /** Fields that hold expressions, one or several, in order. */
  readonly operands: readonly (keyof E & string)[];
  wgsl(e: E, writer: WgslWriter): string;
  text(e: E, text: (e: Expr) => string): string;
  value(e: E, machine: Machine): Value;
  /** Reports what is wrong, operands apart. */
  check(e: E, checker: Checker): void;
}

const quad = [0, 1, 2, 3] as const;

function lanewise(args: readonly Value[], f: (args: readonly number[]) => number): Value {
  if (args.every((a) => typeof a === "number")) return f(args as number[]);
  return quad.map((lane) => f(args.map((a) => (typeof a === "number" ? a : a[lane]!))));
}

/** Ops whose operands or results are not all of one type. */
const signatures: Readonly<Record<string, (args: readonly Scalar[], type: Scalar) => boolean>> = {
  cast: () => true,
  select: ([condition, yes, no], type) => condition === "bool" && yes === type && no === type,
  lt: ([a, b], type) => a === b && type === "bool",
  le: ([a, b], type) => a === b && type === "bool",
  eq: ([a, b], type) => a === b && type === "bool",
};

const expressions: { readonly [K in Expr["kind"]]: ExprRecord<ExprOf<K>> } = {
  literal: {
    operands: [],
    wgsl: ({ type, value }, writer) => writer.literal(type, value),
    text: ({ type, value }) => (type === "u32" ? String(value) : `${value}:${type}`),
    value: ({ type, value }) => rounded(type, value),
    check: ({ size }, checker) => checker.require(size !== true, "FORM", "a size that is no word"),
  },
  base: {
    operands: [],
    wgsl: () => notCanonical(),
    text: ({ tensor }) => `base(%t${tensor})`,
    value: () => notCanonical(),
    check: (_e, checker) => checker.require(false, "FORM", "the place of a tensor that is no word"),
  },
  size: {
    operands: [],
    wgsl: ({ index, type }, writer) =>
      type === "u32" ? writer.word(index) : `bitcast<${type}>(${writer.word(index)})`,
    text: ({ index, type }) => (type === "u32" ? `#${index}` : `#${index}<${type}>`),
    value: ({ index, type }, { sizes }) => (type === "f32" ? fromBits(sizes[index]!) : rounded(type, sizes[index]!)),
    check: ({ index }, { kernel, require }) =>
      require(index >= 0 && index < kernel.sizes, "BINDING", `word ${index} of ${kernel.sizes}`),
  },
  variable: {
    operands: [],
    wgsl: ({ name }) => name,
    text: ({ name }) => name,
    value: ({ name }, { names }) => names.get(name)!,
    check: (e, checker) => checker.same(e, checker.named(e.name, "value"), e.name),
  },
  builtin: {
    operands: [],
    wgsl: ({ name }) => name,
    text: ({ name }) => name,
    value: ({ name }, machine) => machine[name],
    check: () => {},
  },
  binary: {
    operands: ["a", "b"],
    wgsl: ({ a, operator, b }, writer) => `(${writer.expr(a)} ${operator} ${writer.expr(b)})`,
    text: ({ a, operator, b }, text) => `(${text(a)} ${operator} ${text(b)})`,
    value: ({ a, operator, b }, machine) =>
      lanewise([machine.evaluate(a), machine.evaluate(b)], ([x, y]) => arithmetic(operator, a.type, x!, y!)),
    check: ({ a, operator, b, type, lanes }, { require }) => {
      const { types, result = a.type } = operators[operator];
      const fits = types.includes(a.type) && a.type === b.type && type === result;
      require(fits, "TYPE", `${a.type} ${operator} ${b.type} as ${type}`);
      require(lanes ===
        Math.max(lanesOf(a), lanesOf(b)), "LANES", `${lanesOf(a)} ${operator} ${lanesOf(b)} as ${lanes}`);
    },
  },
  op: {
    operands: ["args"],
    wgsl: ({ op, args, type, lanes }, writer) => writer.op(op, args, type, lanes),
    text: ({ op, args, type }, text) => `${op === "cast" ? `cast<${type}>` : op}(${args.map(text).join(", ")})`,
    value: ({ op, args, type }, machine) =>
      lanewise(
        args.map((a) => machine.evaluate(a)),
        (numbers) => pointwise(op, numbers, type, args[0]!.type),
      ),
    check: ({ op, args, type, lanes }, { require }) => {
      const types = args.map((a) => a.type);
      const fits = signatures[op]?.(types, type) ?? types.every((t) => t === type);
      require(opRecord(op).opClass === "pointwise", "FORM", `${op} is not pointwise`);
      require(fits, "TYPE", `${op}(${types.join(", ")}) as ${type}`);
      require(args.every((a) => lanesOf(a) === lanes), "LANES", `${op} of ${args.map(lanesOf).join(", ")} as ${lanes}`);
    },
  },
  random: {
    operands: ["seed", "step", "counter", "site", "tensor"],
    wgsl: (e, writer) => writer.random(streamOf(e).map((x) => writer.bare(x))),
    text: (e, text) => `uniform(${streamOf(e).map(text).join(", ")})`,
    value: (e, machine) => {
      const [seed, step, site, tensor, counter] = streamOf(e).map((x) => machine.evaluate(x) as number);
      const [k0, k1] = streamKey(seed!, step!, site!, tensor!);
      return Math.fround(openUniform(threefry(k0, k1, counter!, 0)[0]));
    },
    check: (e, checker) => {
      for (const part of streamOf(e)) checker.scalar(part, "u32", "a part of a stream of random numbers");
    },
  },
  load: {
    operands: ["index"],
    wgsl: ({ tensor, index, lanes }, writer) => writer.load(tensor, index, lanes),
    text: ({ tensor, index, lanes }, text) => `%t${tensor}[${text(index)}${lanes === 4 ? "..4" : ""}]`,
    value: ({ tensor, index, lanes }, machine) => {
      const first = machine.evaluate(index) as number;
      return lanes === 1 ? machine.load(tensor, first) : quad.map((lane) => machine.load(tensor, first + lane));
    },
    check: ({ tensor, index, type }, checker) => {
      checker.scalar(index, "u32", "an index");
      checker.require(checker.tensorType(tensor) === type, "TYPE", `%t${tensor} as ${type}`);
    },
  },
  shared: {
    operands: ["index"],
    wgsl: ({ array, index }, writer) => `${array}[${writer.bare(index)}]`,
    text: ({ array, index }, text) => `${array}[${text(index)}]`,
    value: ({ array, index }, machine) => machine.shared.get(array)![machine.evaluate(index) as number]!,
    check: (e, checker) => {
      checker.scalar(e.index, "u32", "an index");
      checker.same(e, checker.sharedArray(e.array), e.array);
    },
  },
  item: {
    operands: ["index"],
    wgsl: ({ array, index }, writer) => `${array}[${writer.bare(index)}]`,
    text: ({ array, index }, text) => `${array}[${text(index)}]`,
    value: ({ array, index }, machine) => machine.arrays.get(array)![machine.evaluate(index) as number]!,
    check: (e, checker) => {
      checker.scalar(e.index, "u32", "an index");
      checker.same(e, checker.named(e.array, "array"), e.array);
    },
  },
  vector: {
    operands: ["parts"],
    wgsl: ({ parts, type }, writer) => writer.vector(parts, type),
    text: ({ parts }, text) => `<${parts.map(text).join(", ")}>`,
    value: ({ parts }, machine) => parts.map((p) => machine.evaluate(p) as number),
    check: ({ parts, type }, checker) => {
      checker.require(parts.length === 4, "LANES", `a vector of ${parts.length}`);
      for (const part of parts) checker.scalar(part, type, "a part of a vector");
    },
  },
  component: {
    operands: ["of"],
    wgsl: ({ of, at }, writer) => `${writer.expr(of)}.${"xyzw"[at]}`,
    text: ({ of, at }, text) => `${text(of)}.${"xyzw"[at]}`,
    value: ({ of, at }, machine) => (machine.evaluate(of) as readonly number[])[at]!,
    check: ({ of, at, type }, { require }) => {
      require(lanesOf(of) === 4 && at >= 0 && at < 4, "LANES", `component ${at} of ${lanesOf(of)}`);
      require(of.type === type, "TYPE", `a component of ${of.type} as ${type}`);
    },
  },
};

/** Arguments of the generator, as it takes them. */
const streamOf = ({ seed, step, site, tensor, counter }: ExprOf<"random">): readonly Expr[] => [
  seed,
  step,
  site,
  tensor,
  counter,
];

function notCanonical(): never {
  throw new Error("the kernel is not in canonical form");
}

/** The record of an expression's kind. */
export const recordOf = (e: Expr): ExprRecord<Expr> => expressions[e.kind] as unknown as ExprRecord<Expr>;
