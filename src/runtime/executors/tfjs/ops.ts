/**
 * One entry per tensor-level op: how tfjs computes it. An entry returns a new handle that the caller owns, unexpanded where it likes (see
 * `values.ts`). What tfjs has no exact kernel for (counter-based random numbers, the inverse, u32, remainders) is computed on the host
 * by the op's f64 evaluation.
 */
import type { Tensor, Tensor1D } from "@tensorflow/tfjs-core";
import { opRecord } from "../../../ir/registry.ts";
import { sizeOf } from "../../../ir/types.ts";
import { einsum } from "./einsum.ts";
import { sumOver } from "./long-sums.ts";
import { commonShape, download, expanded, type OpContext, tfType, upload } from "./values.ts";

export type TfOp = (c: OpContext) => Tensor;

const numbers = (c: OpContext, name: string): number[] => [...(c.attributes[name] as readonly number[])];

/** Input i with all its elements. */
const full = (c: OpContext, i: number): Tensor => expanded(c, c.inputs[i]!);

/** The op by its f64 evaluation. */
const onHost =
  (op: string): TfOp =>
  (c) => {
    const whole = c.inputs.map((_value, i) => full(c, i));
    if (c.counts) return c.tf.fill([...c.type.shape], 0, tfType(c.type.dtype));
    const inputs = c.inputs.map(({ type: { shape, dtype } }, i) => ({
      shape,
      data: Float64Array.from(download(whole[i]!, dtype)),
    }));
    return upload(c.tf, opRecord(op).eval!(inputs, c.attributes, c.type).data, c.type);
  };

type Binary = (tf: OpContext["tf"], a: Tensor, b: Tensor) => Tensor;

/** Arithmetic whose kernels broadcast; u32 on the host. */
const arithmetic =
  (op: string, f: Binary, integers = true): TfOp =>
  (c) => {
    const dtype = c.inputs[0]!.type.dtype;
    if (dtype === "u32" || (dtype === "i32" && !integers)) return onHost(op)(c);
    return f(c.tf, c.inputs[0]!.tensor, c.inputs[1]!.tensor);
  };

/** Kernels that want equal shapes; u32 on the host. */
const equalShapes =
  (op: string, f: Binary): TfOp =>
  (c) => {
    if (c.inputs[0]!.type.dtype === "u32") return onHost(op)(c);
    const shape = commonShape(c.inputs);
    return f(c.tf, expanded(c, c.inputs[0]!, shape), expanded(c, c.inputs[1]!, shape));
  };

const unary =
  (f: (tf: OpContext["tf"], x: Tensor) => Tensor): TfOp =>
  (c) =>
    f(c.tf, c.inputs[0]!.tensor);

/** A condition chooses between tensors; the kernel copies 4-byte elements, so booleans are chosen by logic. */
const select: TfOp = (c) => {
  const { tf } = c;
  const shape = commonShape(c.inputs);
  const [condition, a, b] = c.inputs.map((value) => expanded(c, value, shape));
  if (c.type.dtype !== "bool") return tf.where(condition!, a!, b!);
  const chosen = c.use(tf.logicalAnd(condition!, a!));
  return tf.logicalOr(chosen, c.use(tf.logicalAnd(c.use(tf.logicalNot(condition!)), b!)));
};

const cast: TfOp = (c) => {
  const from = c.inputs[0]!.type.dtype;
  const to = c.type.dtype;
  if (tfType(from) === tfType(to) && from !== "u32" && to !== "u32") return c.tf.clone(c.inputs[0]!.tensor);
  if (to === "bool" || from === "u32" || to === "u32") return onHost("cast")(c);
  return c.tf.cast(c.inputs[0]!.tensor, tfType(to));
};

/** Movement of booleans is not in every kernel: they move as numbers. */
const moved = (c: OpContext, i: number, f: (x: Tensor) => Tensor): Tensor => {
  if (c.type.dtype !== "bool") return f(full(c, i));
  return c.tf.cast(c.use(f(c.use(c.tf.cast(full(c, i), "float32")))), "bool");
};

/** Puts the input's axes where they belong, extent 1 elsewhere. */
const broadcast: TfOp = (c) => {
  const axes = numbers(c, "axes");
  const own = c.inputs[0]!.tensor.shape;
  return c.tf.reshape(
    c.inputs[0]!.tensor,
    c.type.shape.map((_n, axis) => own[axes.indexOf(axis)] ?? 1),
  );
};

/**
 * A slice with neighbouring axes merged where the inner one is taken whole: the wasm backend copies rows for rank 4 and less, as long as
 * the merged rows are, and element by element otherwise.
 */
const slice: TfOp = (c) => {
  const start = numbers(c, "start");
  const merged: { start: number; size: number; extent: number }[] = [];
  c.inputs[0]!.type.shape.forEach((extent, axis) => {
    const size = c.type.shape[axis]!;
    const outer = merged.at(-1);
    if (outer === undefined || size !== extent) merged.push({ start: start[axis]!, size, extent });
    else
      merged[merged.length - 1] = {
        start: outer.start * extent,
        size: outer.size * extent,
        extent: outer.extent * extent,
      };
  });
  return moved(c, 0, (x) => {
    const source = c.use(
      c.tf.reshape(
        x,
        merged.map((axis) => axis.extent),
      ),
    );
    const part = c.use(
      c.tf.slice(
        source,
        merged.map((axis) => axis.start),
        merged.map((axis) => axis.size),
      ),
    );
    return c.tf.reshape(part, [...c.type.shape]);
  });
};

const concat: TfOp = (c) => {
  const parts = c.inputs.map((_value, i) => full(c, i));
  if (c.type.dtype !== "bool") return c.tf.concat(parts, c.attributes.axis as number);
  const asNumbers = parts.map((part) => c.use(c.tf.cast(part, "float32")));
  return c.tf.cast(c.use(c.tf.concat(asNumbers, c.attributes.axis as number)), "bool");
};

const reduction =
  (f: (c: OpContext, x: Tensor, axes: number[]) => Tensor): TfOp =>
  (c) => {
    const axes = numbers(c, "axes");
    return axes.length === 0 ? c.tf.clone(full(c, 0)) : f(c, full(c, 0), axes);
  };

const gather: TfOp = (c) => {
  const indices = full(c, 1);
  const flat = c.use(c.tf.reshape(indices, [indices.size]));
  const rows = c.use(c.tf.gather(full(c, 0), flat as Tensor1D, 0));
  return c.tf.reshape(rows, [...c.type.shape]);
};

const scatterAdd: TfOp = (c) => {
  const indices = full(c, 0);
  const flat = c.use(c.tf.reshape(indices, [indices.size, 1]));
  const updates = c.use(c.tf.reshape(full(c, 1), [indices.size, ...c.type.shape.slice(1)]));
  return c.tf.scatterND(flat, updates, [...c.type.shape]);
};

const constant: TfOp = (c) => {
  const compact = { ...c.type, shape: c.type.shape.map(() => 1) };
  return upload(c.tf, [c.attributes.value as number], compact);
};

const iota: TfOp = (c) => {
  const axis = c.attributes.axis as number;
  const shape = c.type.shape.map((n, i) => (i === axis ? n : 1));
  return upload(
    c.tf,
    Array.from({ length: sizeOf(shape) }, (_unused, i) => i),
    { ...c.type, shape },
  );
};

/** All tensor-level ops but `port`. */
export const tfOps: Readonly<Record<string, TfOp>> = {
  constant,
  iota,
  neg: unary((tf, x) => tf.neg(x)),
  exp: unary((tf, x) => tf.exp(x)),
  log: unary((tf, x) => tf.log(x)),
  sqrt: unary((tf, x) => tf.sqrt(x)),
  rsqrt: unary((tf, x) => tf.rsqrt(x)),
  reciprocal: unary((tf, x) => tf.reciprocal(x)),
  sin: unary((tf, x) => tf.sin(x)),
  cos: unary((tf, x) => tf.cos(x)),
  tanh: unary((tf, x) => tf.tanh(x)),
  erf: unary((tf, x) => tf.erf(x)),
  sigmoid: unary((tf, x) => tf.sigmoid(x)),
  abs: unary((tf, x) => tf.abs(x)),
  sign: unary((tf, x) => tf.sign(x)),
  floor: unary((tf, x) => tf.floor(x)),
  stop_gradient: unary((tf, x) => tf.clone(x)),
  add: arithmetic("add", (tf, a, b) => tf.add(a, b)),
  sub: arithmetic("sub", (tf, a, b) => tf.sub(a, b)),
  mul: arithmetic("mul", (tf, a, b) => tf.mul(a, b)),
  div: arithmetic("div", (tf, a, b) => tf.div(a, b), false),
  maximum: equalShapes("maximum", (tf, a, b) => tf.maximum(a, b)),
  minimum: equalShapes("minimum", (tf, a, b) => tf.minimum(a, b)),
  mod: onHost("mod"),
  lt: equalShapes("lt", (tf, a, b) => tf.less(a, b)),
  le: equalShapes("le", (tf, a, b) => tf.lessEqual(a, b)),
  eq: equalShapes("eq", (tf, a, b) => tf.equal(a, b)),
  and: equalShapes("and", (tf, a, b) => tf.logicalAnd(a, b)),
  not: unary((tf, x) => tf.logicalNot(x)),
  select,
  cast,
  reshape: (c) => c.tf.reshape(full(c, 0), [...c.type.shape]),
  transpose: (c) => c.tf.transpose(c.inputs[0]!.tensor, numbers(c, "permutation")),
  broadcast,
  slice,
  pad: (c) => {
    const high = numbers(c, "high");
    return moved(c, 0, (x) =>
      c.tf.pad(
        x,
        numbers(c, "low").map((low, i): [number, number] => [low, high[i]!]),
      ),
    );
  },
  concat,
  sum: reduction(sumOver),
  reduce_max: reduction((c, x, axes) => c.tf.max(x, axes)),
  einsum,
  gather,
  scatter_add: scatterAdd,
  uniform: onHost("uniform"),
  inverse: onHost("inverse"),
};

/** Computes a node; checks that what came out broadcasts to the node's type. */
export function compute(op: string, c: OpContext): Tensor {
  const entry = tfOps[op];
  if (entry === undefined) throw new Error(`the tfjs executor has no op ${op}`);
  const result = entry(c);
  const fits = result.rank === c.type.shape.length && result.shape.every((n, i) => n === 1 || n === c.type.shape[i]);
  if (!fits || result.dtype !== tfType(c.type.dtype)) {
    throw new Error(
      `tfjs made ${result.dtype}[${result.shape.join(",")}] of ${op}, not ${c.type.dtype}[${c.type.shape.join(",")}]`,
    );
  }
  return result;
}
