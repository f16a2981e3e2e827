/** Truncated singular value decomposition in a block Krylov space, in f64 (Musco and Musco, arXiv 1504.05477). */
import { openUniform, threefry } from "./threefry.ts";

export interface LowRank {
  /** U diag(S), row-major [rows, rank]. */
  readonly left: Float64Array;
  /** V^T, row-major [rank, columns]. */
  readonly right: Float64Array;
  /** Norm of what is left over, relative to the norm of the matrix. */
  readonly relativeError: number;
}

const oversampling = 8;
/** The search space grows by blocks to four times the width of one; up to the second number of dimensions it is the whole space. */
const blocks = 4;
const smallSpace = 128;

/** c = a b for row-major a [m, k], b [k, n]. */
function product(a: Float64Array, b: Float64Array, m: number, k: number, n: number): Float64Array {
  const c = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let l = 0; l < k; l++) {
      const x = a[i * k + l]!;
      if (x !== 0) for (let j = 0; j < n; j++) c[i * n + j]! += x * b[l * n + j]!;
    }
  }
  return c;
}

function transposed(a: Float64Array, m: number, n: number): Float64Array {
  const t = new Float64Array(a.length);
  for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) t[j * m + i] = a[i * n + j]!;
  return t;
}

const dot = (x: Float64Array, y: Float64Array): number => x.reduce((sum, v, j) => sum + v * y[j]!, 0);

/** Orthonormal rows that span what the rows of `a` add to the orthonormal rows `known`, by Gram-Schmidt twice; dependent ones are left out. */
function orthonormal(a: readonly Float64Array[], known: readonly Float64Array[] = []): Float64Array[] {
  const found: Float64Array[] = [];
  for (const row of a) {
    const x = row.slice();
    const before = Math.sqrt(dot(x, x));
    for (let pass = 0; pass < 2; pass++) {
      for (const other of [...known, ...found]) {
        const along = dot(x, other);
        for (let l = 0; l < x.length; l++) x[l]! -= along * other[l]!;
      }
    }
    const norm = Math.sqrt(dot(x, x));
    if (norm > 1e-12 * before) found.push(x.map((v) => v / norm));
  }
  return found;
}

function joined(rows: readonly Float64Array[], width: number): Float64Array {
  const all = new Float64Array(rows.length * width);
  for (const [i, row] of rows.entries()) all.set(row, i * width);
  return all;
}

const rowsOf = (a: Float64Array, width: number): Float64Array[] =>
  Array.from({ length: a.length / width }, (_unused, i) => a.subarray(i * width, (i + 1) * width));

/** Turns columns p and q of `a` [n, n] by an angle of cosine c and sine s. */
function turnColumns(a: Float64Array, n: number, [p, q]: readonly [number, number], c: number, s: number): void {
  for (let i = 0; i < n * n; i += n) {
    const [x, y] = [a[i + p]!, a[i + q]!];
    a[i + p] = c * x - s * y;
    a[i + q] = s * x + c * y;
  }
}

/** Turns rows p and q of `a` [n, n] by an angle of cosine c and sine s. */
function turnRows(a: Float64Array, n: number, [p, q]: readonly [number, number], c: number, s: number): void {
  for (let j = 0; j < n; j++) {
    const [x, y] = [a[p * n + j]!, a[q * n + j]!];
    a[p * n + j] = c * x - s * y;
    a[q * n + j] = s * x + c * y;
  }
}

/** Orthonormal eigenvectors of a symmetric matrix [n, n], largest eigenvalue first, by cyclic Jacobi rotations. */
function eigenvectors(symmetric: Float64Array, n: number): Float64Array[] {
  const a = symmetric.slice();
  const vectors = Float64Array.from({ length: n * n }, (_unused, i) => (i % (n + 1) === 0 ? 1 : 0));
  const trace = a.reduce((sum, x, i) => sum + (i % (n + 1) === 0 ? x : 0), 0);
  let turned = true;
  for (let sweep = 0; turned && sweep < 30; sweep++) {
    turned = false;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const off = a[p * n + q]!;
        if (Math.abs(off) <= 1e-17 * trace) continue;
        turned = true;
        const theta = (a[q * n + q]! - a[p * n + p]!) / (2 * off);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1);
        turnColumns(a, n, [p, q], c, t * c);
        turnRows(a, n, [p, q], c, t * c);
        turnColumns(vectors, n, [p, q], c, t * c);
      }
    }
  }
  const order = Array.from({ length: n }, (_unused, i) => i).sort((i, j) => a[j * n + j]! - a[i * n + i]!);
  return order.map((column) => Float64Array.from({ length: n }, (_unused, i) => vectors[i * n + column]!));
}

/** Orthonormal rows of a space that holds the first right singular vectors nearly, and exactly when it is all that `matrix` reaches. */
function searchSpace(matrix: Float64Array, rows: number, columns: number, rank: number): Float64Array[] {
  const width = Math.min(rank + oversampling, rows, columns);
  const limit = Math.max(blocks * width, smallSpace);
  const flipped = transposed(matrix, rows, columns);
  let block = rowsOf(
    Float64Array.from({ length: width * columns }, (_unused, i) => openUniform(threefry(0, 0, i, 0)[0]) - 0.5),
    columns,
  );
  const space: Float64Array[] = [];
  while (block.length > 0 && space.length < limit) {
    const images = orthonormal(rowsOf(product(joined(block, columns), flipped, block.length, columns, rows), rows));
    const back = product(joined(images, rows), matrix, images.length, rows, columns);
    block = orthonormal(rowsOf(back, columns), space);
    space.push(...block);
  }
  return space;
}

/** The best approximation of `matrix` [rows, columns] by a product of rank `rank`. */
export function truncatedSvd(matrix: Float64Array, rows: number, columns: number, rank: number): LowRank {
  const space = searchSpace(matrix, rows, columns, rank);
  const size = space.length;
  const basis = joined(space, columns);
  const images = product(matrix, transposed(basis, size, columns), rows, columns, size);
  const gram = product(transposed(images, rows, size), images, size, rows, size);
  const kept = eigenvectors(gram, size).slice(0, rank);
  const right = new Float64Array(rank * columns);
  right.set(product(joined(kept, size), basis, kept.length, size, columns));
  const left = product(matrix, transposed(right, rank, columns), rows, columns, rank);
  const approximation = product(left, right, rows, rank, columns);
  const norm = (f: (i: number) => number) => Math.sqrt(matrix.reduce((sum, _x, i) => sum + f(i) ** 2, 0));
  const whole = norm((i) => matrix[i]!);
  return { left, right, relativeError: whole === 0 ? 0 : norm((i) => matrix[i]! - approximation[i]!) / whole };
}
