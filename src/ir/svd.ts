/** Truncated singular value decomposition by subspace iteration, in f64: enough to approximate a merged delta by a low-rank pair. */
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
const rounds = 12;

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

/** Orthonormal rows spanning the rows of a [k, n], by Gram-Schmidt twice; dependent rows become zero. */
function orthonormalRows(a: Float64Array, k: number, n: number): Float64Array {
  const row = (i: number) => a.subarray(i * n, (i + 1) * n);
  const dot = (x: Float64Array, y: Float64Array) => x.reduce((sum, v, j) => sum + v * y[j]!, 0);
  for (let i = 0; i < k; i++) {
    const x = row(i);
    const before = Math.sqrt(dot(x, x));
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < i; j++) {
        const along = dot(x, row(j));
        row(j).forEach((v, l) => {
          x[l]! -= along * v;
        });
      }
    }
    const norm = Math.sqrt(dot(x, x));
    const scale = norm > 1e-12 * before ? 1 / norm : 0;
    for (let l = 0; l < n; l++) x[l]! *= scale;
  }
  return a;
}

/** The best approximation of `matrix` [rows, columns] by a product of rank `rank`. */
export function truncatedSvd(matrix: Float64Array, rows: number, columns: number, rank: number): LowRank {
  const width = Math.min(rank + oversampling, rows, columns);
  const start = Float64Array.from(
    { length: width * columns },
    (_unused, i) => openUniform(threefry(0, 0, i, 0)[0]) - 0.5,
  );
  const flipped = transposed(matrix, rows, columns);
  let basis = orthonormalRows(start, width, columns);
  for (let round = 0; round < rounds; round++) {
    const images = orthonormalRows(product(basis, flipped, width, columns, rows), width, rows);
    basis = orthonormalRows(product(images, matrix, width, rows, columns), width, columns);
  }
  // subspace iteration orders the basis by singular value, so the first rows span the best subspace of every rank
  const kept = Math.min(rank, width);
  const right = new Float64Array(rank * columns);
  right.set(basis.subarray(0, kept * columns));
  const left = product(matrix, transposed(right, rank, columns), rows, columns, rank);
  const approximation = product(left, right, rows, rank, columns);
  const norm = (f: (i: number) => number) => Math.sqrt(matrix.reduce((sum, _x, i) => sum + f(i) ** 2, 0));
  const whole = norm((i) => matrix[i]!);
  return { left, right, relativeError: whole === 0 ? 0 : norm((i) => matrix[i]! - approximation[i]!) / whole };
}
