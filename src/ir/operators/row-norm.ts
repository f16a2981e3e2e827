/** Norms of the rows of an operator, expanded over its terms so that the matrix is never formed. */
import type { OperatorLowering } from "./record.ts";
import { factorsOf, multipleOf, termsOf } from "./view.ts";

/** Norm of every row: f32[out]. */
export function rowNorm(l: OperatorLowering, id: number): number {
  const { builder } = l;
  const terms = termsOf(builder, id);
  const products = terms.flatMap((a, i) =>
    terms.slice(i).map((b, j) => {
      const product = rowDot(l, a, b);
      return j === 0 ? product : builder.scale(product, 2);
    }),
  );
  return builder.add("sqrt", [products.reduce((a, b) => builder.plus(a, b))]);
}

/** sum_j A[i, j] B[i, j] for every row i. */
function rowDot(l: OperatorLowering, a: number, b: number): number {
  const { builder } = l;
  const [x, y] = [multipleOf(builder, a), multipleOf(builder, b)];
  if (x.scalar !== undefined) return builder.mul(rowDot(l, x.operator, b), x.scalar);
  if (y.scalar !== undefined) return builder.mul(rowDot(l, a, y.operator), y.scalar);
  const [rows, columns] = [factorsOf(builder, a), factorsOf(builder, b)];
  return rows.length > 1 && columns.length === 1 ? productRowDot(l, columns, rows) : productRowDot(l, rows, columns);
}

/** rowDot(F R, H T) = rowDot(F (R T.T), H): the long axis is contracted first, rows of F going through T R.T as vectors. */
function productRowDot(l: OperatorLowering, a: readonly number[], b: readonly number[]): number {
  const { builder } = l;
  const [[first, ...rest], [head, ...tail]] = [a, b];
  const chain = [...tail, ...rest.reverse().map((factor) => l.transposed(factor))];
  const rows = l.dense(first!);
  const applied = chain.length === 0 ? rows : l.apply(builder.add("op.compose", chain), rows);
  return builder.sum(builder.mul(applied, l.dense(head!)), [1]);
}
