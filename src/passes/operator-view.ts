/** Reading operator values: small questions that several passes ask. */
import type { Builder } from "../ir/builder.ts";

/** The number behind a scalar constant, or undefined. */
export function scalarConstant(builder: Builder, id: number): number | undefined {
  const node = builder.node(id);
  return node.op === "constant" ? (node.attributes.value as number) : undefined;
}

/** `[factor, operator]` of a scaled operator with a constant factor; factor 1 for anything else. */
export function constantMultiple(builder: Builder, id: number): [number, number] {
  const node = builder.node(id);
  if (node.op !== "op.scale") return [1, id];
  const factor = scalarConstant(builder, node.inputs[1]!);
  if (factor === undefined) return [1, id];
  const [inner, operator] = constantMultiple(builder, node.inputs[0]!);
  return [factor * inner, operator];
}
