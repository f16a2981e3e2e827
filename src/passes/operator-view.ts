/** Reading operator values: small questions that several passes ask. */
import type { Builder } from "../ir/builder.ts";
import { operatorRecord } from "../ir/operators/index.ts";
import { multipleOf } from "../ir/operators/view.ts";
import { remembered } from "../ir/remember.ts";

/** The number behind a scalar constant, or undefined. */
export function scalarConstant(builder: Builder, id: number): number | undefined {
  const node = builder.node(id);
  return node.op === "constant" ? (node.attributes.value as number) : undefined;
}

/** `[factor, operator]` of a scaled operator with a constant factor; factor 1 for anything else. */
export function constantMultiple(builder: Builder, id: number): [number, number] {
  const { operator, scalar } = multipleOf(builder, id);
  const factor = scalar === undefined ? undefined : scalarConstant(builder, scalar);
  if (factor === undefined) return [1, id];
  const [inner, innermost] = constantMultiple(builder, operator);
  return [factor * inner, innermost];
}

/** A question about operators whose answer is made of the answers for the operators inside; each is asked once in a builder. */
function askedOnce<T>(answer: (builder: Builder, id: number, inside: (id: number) => T) => T) {
  const known = new WeakMap<Builder, Map<number, T>>();
  return function ask(builder: Builder, id: number): T {
    const own = known.get(builder) ?? new Map<number, T>();
    known.set(builder, own);
    return remembered(own, id, () => answer(builder, id, (inner) => ask(builder, inner)));
  };
}

const isOperator = (builder: Builder, id: number): boolean => builder.type(id).kind === "operator";

/** Whether an operator differs from token to token or from sample to sample: it has no matrix, and nothing that holds it may be folded. */
export const varies = askedOnce<boolean>((builder, id, inside) => {
  const node = builder.node(id);
  if (operatorRecord(node.op).varies?.(node)) return true;
  return node.inputs.some((input) => isOperator(builder, input) && inside(input));
});

/** How many leaves an operator has when it is written out, each as often as it stands there. */
export const leavesOf = askedOnce<number>((builder, id, inside) => {
  const inner = builder.node(id).inputs.filter((input) => isOperator(builder, input));
  return inner.length === 0 ? 1 : inner.reduce((sum, input) => sum + inside(input), 0);
});

/** How many different operators stand in some operators, themselves included. */
export function differentOperators(builder: Builder, ids: readonly number[]): number {
  const seen = new Set<number>();
  const open = [...ids];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (seen.has(id) || !isOperator(builder, id)) continue;
    seen.add(id);
    open.push(...builder.node(id).inputs);
  }
  return seen.size;
}
