/** Long sums on tfjs, whose kernels keep one running f32 sum: they are made in blocks, as kernels make them (`codegen/schedule/long-sums.ts`). */
import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import { longSum } from "../../../codegen/index.ts";
import { sizeOf } from "../../../ir/types.ts";
import type { OpContext } from "./values.ts";

/** Terms of a block of products: large enough for a fast kernel. */
const block = 1024;

/** Shapes as which buffers were right operands. */
const readAs = new WeakMap<object, string>();

/**
 * `matMul` of matrices, or of stacks of them. XNNPACK keeps what it made of a right operand by its buffer, whatever the shape, and reads beyond the
 * buffer when the same numbers come again as another matrix ([n, 1] and [1, n]): they are copied then.
 */
export function safeProduct<T extends Tensor>({ tf }: OpContext, a: T, b: T): T {
  const shape = b.shape.join(",");
  const before = readAs.get(b.dataId) ?? shape;
  readAs.set(b.dataId, before);
  if (before === shape) return tf.matMul(a, b);
  const copy = tf.add(b, 0);
  const made: T = tf.matMul(a, copy);
  tf.dispose(copy);
  return made;
}

/** The product of two matrices [m, k] and [k, n]. */
export function matrixProduct(c: OpContext, a: Tensor2D, b: Tensor2D): Tensor2D {
  const { tf } = c;
  const [m, k] = a.shape;
  const n = b.shape[1];
  if (k <= longSum) return safeProduct(c, a, b);
  let sums: Tensor2D[] = [];
  for (let from = 0; from < k; from += block) {
    const length = Math.min(block, k - from);
    const [left, right] = [tf.slice(a, [0, from], [m, length]), tf.slice(b, [from, 0], [length, n])];
    sums.push(safeProduct(c, left, right));
    tf.dispose([left, right]);
  }
  while (sums.length > 1) {
    const pairs = sums.flatMap((sum, i) => (i % 2 === 0 ? [[sum, sums[i + 1]] as const] : []));
    sums = pairs.map(([x, y]) => {
      if (y === undefined) return x;
      const both = tf.add(x, y) as Tensor2D;
      tf.dispose([x, y]);
      return both;
    });
  }
  return sums[0]!;
}

/** The sum of all elements over some axes; the axes disappear. */
export function sumOver(c: OpContext, x: Tensor, axes: readonly number[]): Tensor {
  const { tf, use } = c;
  const terms = sizeOf(axes.map((axis) => x.shape[axis]!));
  if (terms <= longSum) return tf.sum(x, [...axes]);
  const kept = x.shape.map((_n, axis) => axis).filter((axis) => !axes.includes(axis));
  const shape = kept.map((axis) => x.shape[axis]!);
  const rows = use(tf.reshape(use(tf.transpose(x, [...kept, ...axes])), [sizeOf(shape), terms])) as Tensor2D;
  const width = Math.ceil(Math.sqrt(terms));
  const whole = Math.floor(terms / width) * width;
  const blocks = use(tf.reshape(use(tf.slice(rows, [0, 0], [-1, whole])), [sizeOf(shape), whole / width, width]));
  const sum = use(tf.sum(use(tf.sum(blocks, 2)), 1));
  if (whole === terms) return tf.reshape(sum, shape);
  const rest = use(tf.sum(use(tf.slice(rows, [0, whole], [-1, terms - whole])), 1));
  return tf.reshape(use(tf.add(sum, rest)), shape);
}
