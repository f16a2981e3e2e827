/**
 * Contractions by `matMul`. The wasm backend is fast (XNNPACK) only for one product of two matrices that lie as it wants them: so operands
 * are transposed first (frozen ones once), and large batched products are made one after the other.
 */
import type { Tensor, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import { longSum } from "../../../codegen/index.ts";
import { type EinsumSpec, einsumExtents, einsumOf } from "../../../ir/ops/contraction.ts";
import { matrixProduct, safeProduct } from "./long-sums.ts";
import { expanded, type OpContext } from "./values.ts";

/** Multiplications per matrix from which a batch is taken apart; below, the overhead of separate calls is larger than the gain. */
const worthSeparating = 2 ** 18;

/** Axes of `letters` in the order of `wanted`, or undefined when they lie so already. */
function permutation(letters: string, wanted: string): number[] | undefined {
  return letters === wanted ? undefined : [...wanted].map((letter) => letters.indexOf(letter));
}

/** Input i with its axes in the order `wanted`, as a tensor of the given shape. */
function operand(c: OpContext, i: number, letters: string, wanted: string, shape: readonly number[]): Tensor {
  return c.prepared(i, `${letters}>${wanted}:${shape.join(",")}`, () => {
    const source = expanded(c, c.inputs[i]!);
    const order = permutation(letters, wanted);
    return c.tf.reshape(order === undefined ? source : c.use(c.tf.transpose(source, order)), [...shape]);
  });
}

/** A product without contraction: both operands laid out along the letters of the result, and multiplied. */
function outerProduct(c: OpContext, spec: EinsumSpec, extents: ReadonlyMap<string, number>): Tensor {
  const [a, b] = [spec.a, spec.b].map((letters, i) => {
    const wanted = [...spec.out].filter((letter) => letters.includes(letter)).join("");
    const shape = [...spec.out].map((letter) => (letters.includes(letter) ? extents.get(letter)! : 1));
    return operand(c, i, letters, wanted, shape);
  });
  return c.tf.mul(a!, b!);
}

function multiply(c: OpContext, a: Tensor3D, b: Tensor3D): Tensor {
  const { tf } = c;
  const [batch, m, k] = a.shape;
  const n = b.shape[2];
  const matrix = (t: Tensor3D, g: number): Tensor2D => {
    const part = batch === 1 ? t : (c.use(tf.slice(t, [g, 0, 0], [1, t.shape[1], t.shape[2]])) as Tensor3D);
    return c.use(tf.reshape(part, [t.shape[1], t.shape[2]])) as Tensor2D;
  };
  if (batch > 1 && m * n * k < worthSeparating && k <= longSum) return safeProduct(c, a, b);
  const products = Array.from({ length: batch }, (_unused, g) => c.use(matrixProduct(c, matrix(a, g), matrix(b, g))));
  return batch === 1 ? tf.reshape(products[0]!, [1, m, n]) : tf.stack(products);
}

/** The tensor of an `einsum` node. */
export function einsum(c: OpContext): Tensor {
  const spec = einsumOf(c.attributes);
  const extents = einsumExtents(spec, c.inputs[0]!.type.shape, c.inputs[1]!.type.shape);
  if (spec.contracted.length === 0) return outerProduct(c, spec, extents);
  const count = (letters: readonly string[]): number =>
    letters.reduce((product, letter) => product * extents.get(letter)!, 1);
  const [batch, m, n, k] = [count(spec.batch), count(spec.freeA), count(spec.freeB), count(spec.contracted)];
  const text = (...groups: (readonly string[])[]): string => groups.flat().join("");
  const a = operand(c, 0, spec.a, text(spec.batch, spec.freeA, spec.contracted), [batch, m, k]) as Tensor3D;
  const b = operand(c, 1, spec.b, text(spec.batch, spec.contracted, spec.freeB), [batch, k, n]) as Tensor3D;
  const made = text(spec.batch, spec.freeA, spec.freeB);
  const product = c.use(multiply(c, a, b));
  const shaped = c.tf.reshape(
    product,
    [...made].map((letter) => extents.get(letter)!),
  );
  const order = permutation(made, spec.out);
  return order === undefined ? shaped : c.tf.transpose(c.use(shaped), order);
}
