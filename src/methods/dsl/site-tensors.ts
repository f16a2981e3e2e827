/** Questions about the declared tensors of a scope: which there are, how large the program holds them, how they begin, how they are projected. */
import type { Builder } from "../../ir/builder.ts";
import type { SourceLocation } from "../../ir/graph.ts";
import { sameShape } from "../../ir/types.ts";
import type { FieldValue } from "../fields.ts";
import type { Expression, TensorItem, TensorRole } from "./ast.ts";
import { callBuiltin } from "./call.ts";
import { condition, evaluate, extentFault, shapeOf } from "./evaluate.ts";
import { paddedFields } from "./field.ts";
import { atPlace } from "./operations.ts";
import { Scope } from "./scope.ts";
import { tensorValue } from "./value.ts";

/** A condition that may be left out. */
export const holds = (scope: Scope, clause: Expression | undefined): boolean =>
  clause === undefined || condition(scope, clause);

export const exists = (scope: Scope, item: TensorItem): boolean => holds(scope, item.when);

/** The tensors of some roles that exist, in the order of the text. */
export const tensorsOf = (scope: Scope, ...roles: readonly TensorRole[]): TensorItem[] =>
  scope.items.filter(
    (item): item is TensorItem => item.kind === "tensor" && roles.includes(item.role) && exists(scope, item),
  );

/** Trained and saved tensors of a site. */
export const ownTensors = (scope: Scope): TensorItem[] => tensorsOf(scope, "param", "buffer");

/** Whether a tensor has no numbers. */
export const isEmpty = (scope: Scope, item: TensorItem): boolean => shapeOf(scope, item).includes(0);

export const projects = (scope: Scope, { project }: TensorItem): boolean =>
  project !== undefined && holds(scope, project.condition);

/** The scope in which shapes are those of the program's ports: of a padded program tensors are larger than the file says, with zeros behind. */
function paddedScope(scope: Scope): Scope {
  const { model, block, site } = scope;
  const { padding } = model.situation;
  if (padding === undefined || site === undefined) return scope;
  const rounded = paddedFields(model.method).map((name): [string, FieldValue] => {
    const value = scope.field(name);
    return [name, typeof value === "number" ? Math.max(value, padding) : (value ?? null)];
  });
  return new Scope(model, block, { ...site, fields: { ...site.fields, ...Object.fromEntries(rounded) } });
}

/** The tensors of a site that the program holds larger than the file does: key and the program's shape. */
export function paddedShapes(scope: Scope): [string, readonly number[]][] {
  if (scope.model.situation.padding === undefined) return [];
  const padded = paddedScope(scope);
  return ownTensors(scope).flatMap((item): [string, readonly number[]][] => {
    const shape = shapeOf(padded, item);
    return sameShape(shape, shapeOf(scope, item)) ? [] : [[scope.siteKey(item.key!), shape]];
  });
}

/** Where a tensor is declared. */
const placeOf = ({ model }: Scope, { at }: TensorItem): SourceLocation => ({ file: model.method.file, line: at.line });

/** The port of a declared tensor, as large as the program has it. Throws METHOD-NAME for one that does not exist. */
export function portOf(scope: Scope, item: TensorItem): number {
  const { builder } = scope.buildOrFail(item.at);
  if (!exists(scope, item)) {
    throw scope.error("METHOD-NAME", item.at, {
      message: `${item.name} is read where it does not exist.`,
      help: "Read it only under the condition of its when.",
    });
  }
  if (isEmpty(scope, item)) throw extentFault(scope, item.name, item.at, 0);
  const ofModel = item.role === "shared";
  const key = ofModel ? item.key! : scope.siteKey(item.key!);
  const role = item.role === "param" || item.trained ? "param" : "buffer";
  const shape = shapeOf(ofModel ? new Scope(scope.model) : paddedScope(scope), item);
  const turned = scope.model.tied?.get(key);
  // It stands where it is declared, not where it is read first.
  const port = (name: string, extents: readonly number[]): number =>
    builder.within({ location: placeOf(scope, item) }, () => builder.port(name, role, "f32", extents));
  if (turned === undefined) return port(key, shape);
  return builder.transpose(port(turned, [...shape].reverse()), [1, 0]);
}

/** `project f(x)` of a parameter p is f(p, x). */
export function projected(scope: Scope, item: TensorItem): number {
  const { call } = item.project!;
  const name = call.callee.kind === "name" ? call.callee.name : "";
  const port = { value: tensorValue(portOf(scope, item)), at: call.at };
  const rest = call.arguments.map(({ value, at }) => ({ value: evaluate(scope, value), at }));
  const value = callBuiltin(scope, scope.model.method.builtins.get(name)!, call, [port, ...rest]);
  return (value as { id: number }).id;
}

/** A node that is made once in a scope. Throws METHOD-CYCLE where it is made of itself. */
function nodeOnce(scope: Scope, name: string, { at }: TensorItem, make: () => number): number {
  return (scope.once(name, at, () => tensorValue(make())) as { id: number }).id;
}

/** The node of a computed tensor. Throws METHOD-TYPE for what does not have its shape. */
export const computedNode = (scope: Scope, item: TensorItem): number =>
  nodeOnce(scope, `computed ${item.name}`, item, () => {
    const made = evaluate(scope, item.value);
    const { builder } = scope.buildOrFail(item.at);
    const shape = shapeOf(scope, item);
    if (made.kind === "tensor" && sameShape(builder.shape(made.id), shape)) return made.id;
    throw scope.misfit(item.value.at, `The value of ${item.name} does not fit.`, made, `f32[${shape.join(",")}]`);
  });

/** The first value of a tensor; it may be made of those of others. */
export const firstValue = (scope: Scope, item: TensorItem, seed: number, builder: Builder): number =>
  nodeOnce(scope, `the first value of ${item.name}`, item, () => initialValue(scope, item, seed, builder));

function initialValue(scope: Scope, item: TensorItem, seed: number, builder: Builder): number {
  const shape = shapeOf(scope, item);
  const made = evaluate(scope, item.value);
  const value = made.kind === "operator" ? tensorValue(builder.add("op.to_dense", [made.id])) : made;
  // What is shared has no site; its number in the text keeps its stream apart.
  const site = scope.site ?? { path: "", index: 0 };
  const node = value.kind === "distribution" ? value.distribution.node : undefined;
  if (node !== undefined) {
    const context = { scope: site.path, location: placeOf(scope, item) };
    const stream = { site: site.index, tensor: item.ordinal, seed };
    try {
      return builder.within(context, () => node(builder, shape, stream));
    } catch (error) {
      throw atPlace(scope, item.value.at, error);
    }
  }
  if (value.kind === "tensor" && sameShape(builder.shape(value.id), shape)) return value.id;
  const expected = `a distribution, or f32[${shape.join(",")}]`;
  throw scope.misfit(item.value.at, `The initial value of ${item.name} does not fit.`, value, expected);
}
