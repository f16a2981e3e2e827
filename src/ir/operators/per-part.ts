/** Parts of an operator, of which every vector goes through one: those of experts. */
import type { Builder } from "../builder.ts";
import type { OperatorLowering } from "./record.ts";
import { factorsOf, multipleOf, termsOf } from "./view.ts";

/** Rows x f32[t, r, in], each t through the matrix of its number in the table f32[parts, out, in]: f32[t, r, out]. */
export const throughTable = (builder: Builder, table: number, x: number, owners: number): number =>
  builder.einsum("tri,toi->tro", x, builder.add("gather", [table, owners]));

/** x f32[t, r, in] through one of `parts` equal parts of an operator's rows, by numbers i32[t]: f32[t, r, out / parts]. */
export function throughPart(l: OperatorLowering, id: number, x: number, owners: number, parts: number): number {
  const { builder } = l;
  const made = termsOf(builder, id).map((term) => {
    const { operator, scalar } = multipleOf(builder, term);
    const y = factorsThroughPart(l, factorsOf(builder, operator), x, owners, parts);
    return scalar === undefined ? y : builder.mul(y, scalar);
  });
  return made.reduce((a, b) => builder.plus(a, b));
}

/** Behind blocks, a part of the rows is a block behind a part of the rows of what stands before; of other products it is part of their matrix. */
function factorsThroughPart(
  l: OperatorLowering,
  factors: readonly number[],
  x: number,
  owners: number,
  parts: number,
): number {
  const { builder } = l;
  const [first, ...rest] = factors as [number, ...number[]];
  const { op, inputs } = builder.node(first);
  if (rest.length > 0 && op === "op.blockdiag" && builder.shape(inputs[0]!)[0] === parts)
    return throughTable(builder, inputs[0]!, factorsThroughPart(l, rest, x, owners, parts), owners);
  const { out, in: width } = builder.operator(first);
  const matrix = l.dense(rest.length === 0 ? first : builder.add("op.compose", factors));
  const columns = rest.length === 0 ? width : builder.operator(factors.at(-1)!).in;
  return throughTable(builder, builder.reshape(matrix, [parts, out / parts, columns]), x, owners);
}
