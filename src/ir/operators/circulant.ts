/** Block-circulant operators: applied to the spectra of their blocks. */
import type { Builder } from "../builder.ts";
import type { Node } from "../graph.ts";
import { f32, operatorType } from "../types.ts";
import { floatShape, leadingLetters, leadingOf, matrixOf } from "./helpers.ts";
import { inOf, leaf, outOf } from "./record.ts";

interface Blocks {
  readonly kernel: number;
  readonly out: number;
  readonly in: number;
  readonly size: number;
  /** Frequencies of a real block: 0 .. floor(size / 2). */
  readonly frequencies: number;
}

function blocksOf(b: Builder, node: Node): Blocks {
  const kernel = node.inputs[0]!;
  const [out, width, size] = b.shape(kernel) as [number, number, number];
  return { kernel, out, in: width, size, frequencies: Math.floor(size / 2) + 1 };
}

/** 2 pi (f j mod size) / size for places j (axis 0) and frequencies f (axis 1), reduced before it is rounded. */
function angles(b: Builder, { size, frequencies }: Blocks): number {
  const shape = [size, frequencies];
  const product = b.add("mul", [b.iota(shape, 0), b.iota(shape, 1)]);
  return b.scale(b.cast(b.add("mod", [product, b.constant(size, shape, "i32")]), "f32"), (2 * Math.PI) / size);
}

/** The discrete Fourier transform of a real block as a matrix [size, frequencies, 2]: cosines, and sines with the sign of e^-i. */
function transform(b: Builder, blocks: Blocks): number {
  const shape = [blocks.size, blocks.frequencies, 1];
  const at = angles(b, blocks);
  const part = (id: number): number => b.reshape(id, shape);
  return b.concat([part(b.add("cos", [at])), part(b.neg(b.add("sin", [at])))], 2);
}

/** The inverse [size, frequencies, 2]: all frequencies but the first, and the last of an even size, stand for two. */
function inverseTransform(b: Builder, blocks: Blocks): number {
  const { size, frequencies } = blocks;
  const shape = [size, frequencies, 2];
  const f = b.iota(shape, 1);
  const edge = (n: number): number => b.cast(b.add("eq", [f, b.constant(n, shape, "i32")]), "f32");
  const edges = size % 2 === 0 && size > 1 ? b.plus(edge(0), edge(size / 2)) : edge(0);
  const weights = b.scale(b.sub(b.constant(2, shape), edges), 1 / size);
  return b.mul(transform(b, blocks), weights);
}

/** Products with the conjugate spectra of the kernel: rows p of 2 x 2 matrices [out, in, frequencies, p, q] on pairs (real, imaginary). */
function spectra(b: Builder, blocks: Blocks): number {
  const { kernel, out, in: width, frequencies } = blocks;
  const spectrum = b.einsum("ogj,jwq->ogwq", kernel, transform(b, blocks));
  const part = (which: number): number => b.slice(spectrum, [0, 0, 0, which], [out, width, frequencies, which + 1]);
  const row = (id: number): number => b.reshape(id, [out, width, frequencies, 1, 2]);
  return b.concat([row(spectrum), row(b.concat([b.neg(part(1)), part(0)], 3))], 3);
}

function convolved(b: Builder, node: Node, x: number, transposed: boolean): number {
  const blocks = blocksOf(b, node);
  const [from, to] = transposed ? [blocks.out, blocks.in] : [blocks.in, blocks.out];
  const leading = leadingOf(b, x);
  const l = leadingLetters(leading.length);
  const split = b.reshape(x, [...leading, from, blocks.size]);
  const [source, target] = transposed ? ["op", "gq"] : ["gq", "op"];
  const place = (names: string): string => `${l}${names[0]}w${names[1]}`;
  const spectrum = b.einsum(`${l}${source[0]}j,jw${source[1]}->${place(source)}`, split, transform(b, blocks));
  const product = b.einsum(`${place(source)},ogwpq->${place(target)}`, spectrum, spectra(b, blocks));
  const back = b.einsum(`${place(target)},tw${target[1]}->${l}${target[0]}t`, product, inverseTransform(b, blocks));
  return b.reshape(back, [...leading, to * blocks.size]);
}

/**
 * Circulant blocks [out, in, t, j] with w[(j - t) mod size]: the kernel repeated without end and cut into rows of size - 1 entries moves on
 * by one place from row to row; the last column is the first one of the next row.
 */
function written(b: Builder, { kernel, out, in: width, size }: Blocks): number {
  if (size === 1) return b.reshape(kernel, [out, width, 1, 1]);
  const repeated = b.reshape(b.broadcast(kernel, [out, width, size, size], [0, 1, 3]), [out, width, size * size]);
  const cut = b.slice(repeated, [0, 0, 0], [out, width, size * (size - 1)]);
  const rows = b.reshape(cut, [out, width, size, size - 1]);
  const first = (from: number, to: number): number => b.slice(rows, [0, 0, from, 0], [out, width, to, 1]);
  return b.concat([rows, b.concat([first(1, size), first(0, 1)], 2)], 3);
}

export const circulant = leaf({
  name: "op.circulant",
  arity: 1,
  doc: "Grid of circulant blocks from their first rows w [out/b, in/b, b]: entry (t, j) of block (a, c) is w[a, c, (j - t) mod b].",
  infer: (inputs) => {
    const [o, i, b] = floatShape("op.circulant", inputs, "f32[o,i,b]");
    return operatorType(o! * b!, i! * b!);
  },
  matrix: (node, [kernel]) => {
    const [, blocks, size] = kernel!.shape as [number, number, number];
    const entry = (i: number, j: number): number => (((j - i) % size) + size) % size;
    const block = (i: number, j: number): number => Math.floor(i / size) * blocks + Math.floor(j / size);
    return matrixOf(outOf(node), inOf(node), (i, j) => kernel!.data[block(i, j) * size + entry(i, j)]!);
  },
  apply: ({ builder }, node, x) => convolved(builder, node, x, false),
  applyTransposed: ({ builder }, node, x) => convolved(builder, node, x, true),
  dense: ({ builder }, node) => {
    const moved = builder.transpose(written(builder, blocksOf(builder, node)), [0, 2, 1, 3]);
    return builder.reshape(moved, [outOf(node), inOf(node)]);
  },
  flopsPerVector: (b, node) => {
    const { out, in: width, size, frequencies } = blocksOf(b, node);
    return 4 * frequencies * (size * (out + width) + 2 * out * width);
  },
  examples: [{ inputs: [f32(2, 1, 4)] }, { inputs: [f32(1, 2, 3)] }, { inputs: [f32(3, 2, 1)] }],
});
