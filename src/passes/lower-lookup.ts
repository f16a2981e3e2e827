/** Looks up columns of an operator: every term and factor is read at the wanted columns only, so the matrix is never formed. */
import type { Builder } from "../ir/builder.ts";
import { formRecord, hasForm } from "./forms.ts";
import type { OperatorLowering } from "./lower-operator.ts";

/** Columns `ids` i32[...s] of operator `id` [out, in]: f32[...s, out]. */
export function lowerLookup(builder: Builder, lowering: OperatorLowering, id: number, ids: number): number {
  const { op, inputs } = builder.node(id);
  switch (op) {
    case "op.add":
      return inputs.map((term) => lowerLookup(builder, lowering, term, ids)).reduce((a, b) => builder.plus(a, b));
    case "op.scale":
      return builder.mul(lowerLookup(builder, lowering, inputs[0]!, ids), inputs[1]!);
    case "op.compose":
      return lookupProduct(builder, lowering, inputs, ids);
    default:
      return builder.add("gather", [builder.transpose(lowering.dense([id]), [1, 0]), ids]);
  }
}

/** Columns of A B: A applied to columns of B; where those have one entry at most, columns of A times that entry. */
function lookupProduct(builder: Builder, lowering: OperatorLowering, factors: readonly number[], ids: number): number {
  const [last, ...before] = [...factors].reverse();
  const rest = before.length === 1 ? before[0]! : builder.add("op.compose", before.reverse());
  const node = builder.node(last!);
  const column = hasForm(node.op) ? formRecord(node.op).column?.(builder, node, ids) : undefined;
  if (column === undefined) return lowering.apply(rest, lowerLookup(builder, lowering, last!, ids));
  const columns = lowerLookup(builder, lowering, rest, column.row);
  if (column.factor === undefined) return columns;
  const shape = builder.shape(columns);
  return builder.mul(
    columns,
    builder.broadcast(
      column.factor,
      shape,
      builder.shape(column.factor).map((_n, axis) => axis),
    ),
  );
}
