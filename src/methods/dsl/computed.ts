/** `computed` tensors: functions of what trains, which the adapter's file holds for those who cannot compute them. */
import { Builder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { sameShape } from "../../ir/types.ts";
import { evaluation } from "../situation.ts";
import type { Item, TensorItem } from "./ast.ts";
import type { ElaboratedTensor } from "./elaboration-types.ts";
import { evaluate, shapeOf } from "./evaluate.ts";
import { type BuildScope, type ModelScope, Scope } from "./scope.ts";
import { exists, saved } from "./site-tensors.ts";
import { describe, tensorValue } from "./value.ts";

const computedItems = (scope: Scope): TensorItem[] =>
  scope.items.filter(
    (item): item is TensorItem => item.kind === "tensor" && item.role === "computed" && exists(scope, item),
  );

/** What the adapter's file holds of them. */
export const computedEntries = (scope: Scope): ElaboratedTensor[] =>
  computedItems(scope).map((item) => ({
    ...{ key: item.key!, shape: shapeOf(scope, item), role: "computed", dtype: "f32", aliases: [], project: false },
    saved: saved(scope, item),
  }));

/** The node of a computed tensor, made once in a scope. Throws METHOD-TYPE for what does not have its shape. */
export function computedNode(scope: Scope, item: TensorItem): number {
  const value = scope.once(`computed ${item.name}`, item.at, () => {
    const made = evaluate(scope, item.value);
    const { builder } = scope.buildOrFail(item.at);
    const shape = shapeOf(scope, item);
    if (made.kind === "tensor" && sameShape(builder.shape(made.id), shape)) return tensorValue(made.id);
    throw scope.error("METHOD-TYPE", item.value.at, {
      message: `The value of ${item.name} does not fit.`,
      expected: `f32[${shape.join(",")}]`,
      got: describe(made, builder),
    });
  });
  return (value as { id: number }).id;
}

/**
 * The program that makes what a file holds of computed tensors, on the host: ports are parameters, outputs are named by key. Undefined when
 * there are none.
 */
export function computedGraph(
  model: ModelScope,
  portOf: (scope: Scope, item: TensorItem, builder: Builder) => number,
): Graph | undefined {
  const builder = new Builder("computed");
  const [zero, none] = [builder.constant(0, [], "u32"), builder.constant(0)];
  const build: BuildScope = {
    builder,
    scalars: { seed: zero, step: zero, sampleOffset: zero, pass: zero, training: none },
    tensor: (item) => (item.role === "computed" ? computedNode(scope, item) : portOf(scope, item, builder)),
  };
  const still = { ...model, situation: { ...model.situation, ...evaluation } };
  const scope: Scope = new Scope(still, undefined, undefined, build);
  const items = computedItems(scope);
  return items.length === 0
    ? undefined
    : builder.finish(items.map((item) => ({ name: item.key!, node: computedNode(scope, item) })));
}

/** Whether tensors of an encoder's file would exist if it were there, and it is not. */
export function lacksEncoder(model: ModelScope): boolean {
  const scope = new Scope({ ...model, situation: { ...model.situation, encoder: true } }, undefined, undefined);
  const isOfEncoder = (item: Item): boolean => item.kind === "tensor" && item.file !== undefined && exists(scope, item);
  return model.situation.encoder === false && scope.items.some(isOfEncoder);
}
