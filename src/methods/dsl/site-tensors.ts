/** Questions about the declared tensors of one site: which there are, how they begin, how they are projected. */
import type { Builder } from "../../ir/builder.ts";
import { sameShape } from "../../ir/types.ts";
import type { PatchForm, TensorCoding } from "../../program/index.ts";
import { initialNode, isTorchDraw } from "../lib/initial.ts";
import type { TensorItem } from "./ast.ts";
import { callBuiltin } from "./call.ts";
import { condition, evaluate, evaluateKnown, shapeOf } from "./evaluate.ts";
import { atPlace } from "./operations.ts";
import type { Scope } from "./scope.ts";
import { describe, type Known, tensorValue } from "./value.ts";

export const exists = (scope: Scope, item: TensorItem): boolean =>
  item.when === undefined || condition(scope, item.when);
export const saved = (scope: Scope, item: TensorItem): boolean =>
  item.saveIf === undefined || condition(scope, item.saveIf);

/** The array that a saved constant holds places of. */
export function arrayOf(scope: Scope, { within }: TensorItem): readonly number[] | undefined {
  const shape = within === undefined ? undefined : evaluateKnown(scope, within);
  if (shape === undefined) return undefined;
  if (Array.isArray(shape) && shape.every((n) => Number.isSafeInteger(n) && (n as number) > 0))
    return shape as number[];
  throw scope.error("METHOD-ARGUMENT", within!.at, {
    message: "within wants a shape.",
    expected: "within [rows, columns]",
  });
}

/** Throws METHOD-ARGUMENT for places that lie outside of the array, a row of them per axis. */
export function checkPlaces(scope: Scope, item: TensorItem, within: readonly number[], data: ArrayLike<number>): void {
  const count = data.length / within.length;
  const outside = Array.from(data).find((place, i) => {
    const extent = within[Math.floor(i / count)];
    return extent === undefined || place < 0 || place >= extent;
  });
  if (outside === undefined) return;
  throw scope.error("METHOD-ARGUMENT", item.at, {
    message: `${item.name} holds places outside of its array.`,
    expected: `places in [${within.join(", ")}]`,
    got: String(outside),
  });
}

/** The rows of the weight's table that the tensor replaces. */
export function replacedRows(scope: Scope, { replaces }: TensorItem): readonly number[] | undefined {
  const rows = replaces === undefined ? undefined : evaluateKnown(scope, replaces);
  if (rows === undefined || isWholeNumbers(rows)) return rows;
  throw scope.error("METHOD-ARGUMENT", replaces!.at, {
    message: "replaces wants the numbers of rows.",
    expected: "a list of whole numbers",
    got: JSON.stringify(rows),
  });
}

const isWholeNumbers = (value: Known): value is readonly number[] =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n));

/** How the file holds the tensor, where that is not as it is. */
export function coding(scope: Scope, { coded }: TensorItem): TensorCoding | undefined {
  if (coded === undefined || (coded.condition !== undefined && !condition(scope, coded.condition))) return undefined;
  const { form, arguments: given, at } = coded;
  const [value, more] = given.map((argument) => evaluateKnown(scope, argument.value));
  if (form === "on_rows") {
    const { weight } = scope.siteOrFail(at);
    if (weight !== undefined && more === undefined && isCounts(value)) return { name: "on_rows", rows: value, weight };
    const message = "on_rows wants to know which rows of the site's table the file adds.";
    throw scope.error("METHOD-ARGUMENT", at, { message, expected: "on_rows([row, ...])" });
  }
  if (more === undefined && Number.isSafeInteger(value)) return { name: "top_k", count: value as number };
  throw scope.error("METHOD-ARGUMENT", at, {
    message: "top_k wants to know how many entries are kept.",
    expected: "top_k(count)",
  });
}

const isCounts = (value: Known | undefined): value is readonly number[] =>
  value !== undefined && isWholeNumbers(value) && value.every((n) => n >= 0);

export const patchForms: readonly PatchForm["name"][] = ["kernel", "pointwise", "channels", "row"];

/** How the file holds the tensor at a layer on patches, where that is as PEFT's convolutions have it. */
export function patchForm(scope: Scope, { storedAs }: TensorItem): PatchForm | undefined {
  const patch = scope.site?.patch;
  const name = patchForms.find((form) => form === storedAs);
  return patch === undefined || name === undefined ? undefined : { name, patch };
}

/** Numbers of the host that are saved, one table per site. */
export function savedConstants(scope: Scope): TensorItem[] {
  return scope.items.filter(
    (item): item is TensorItem =>
      item.kind === "tensor" && item.role === "const" && item.key !== undefined && exists(scope, item),
  );
}

/** What the whole model shares, in the order of the text. */
export function sharedTensors(scope: Scope): TensorItem[] {
  return scope.items.filter(
    (item): item is TensorItem => item.kind === "tensor" && item.role === "shared" && exists(scope, item),
  );
}

/** Trained and saved tensors of a site, in the order of the text. */
export function ownTensors(scope: Scope): TensorItem[] {
  return scope.items.filter(
    (item): item is TensorItem =>
      item.kind === "tensor" && (item.role === "param" || item.role === "buffer") && exists(scope, item),
  );
}

/** Whether a tensor has no numbers. */
export const isEmpty = (scope: Scope, item: TensorItem): boolean => shapeOf(scope, item).includes(0);

export function projects(scope: Scope, item: TensorItem): boolean {
  if (item.project === undefined) return false;
  return item.project.condition === undefined || condition(scope, item.project.condition);
}

/** `project f(x)` of a parameter p is f(p, x). */
export function projected(scope: Scope, item: TensorItem, port: number): number {
  const { call } = item.project!;
  const name = call.callee.kind === "name" ? call.callee.name : "";
  const rest = call.arguments.map(({ value, at }) => ({ value: evaluate(scope, value), at }));
  const value = callBuiltin(scope, scope.model.method.builtins.get(name)!, call, [
    { value: { kind: "tensor", id: port }, at: call.at },
    ...rest,
  ]);
  return (value as { id: number }).id;
}

export function initialValue(scope: Scope, item: TensorItem, seed: number, builder: Builder): number {
  const shape = shapeOf(scope, item);
  const made = evaluate(scope, item.value);
  const value = made.kind === "operator" ? tensorValue(builder.add("op.to_dense", [made.id])) : made;
  // What is shared has no site; its number in the text keeps its stream apart.
  const site = scope.site ?? { path: "", index: 0 };
  if (value.kind === "distribution" && !isTorchDraw(value.distribution)) {
    const context = { scope: site.path, location: { file: scope.model.method.file, line: item.at.line } };
    const stream = { site: site.index, tensor: item.ordinal, seed };
    const { distribution } = value;
    try {
      return builder.within(context, () => initialNode(builder, distribution, shape, stream));
    } catch (error) {
      throw atPlace(scope, item.value.at, error);
    }
  }
  if (value.kind === "tensor" && sameShape(builder.shape(value.id), shape)) return value.id;
  throw scope.error("METHOD-TYPE", item.value.at, {
    message: `The initial value of ${item.name} does not fit.`,
    expected: `a distribution, or f32[${shape.join(",")}]`,
    got: describe(value, builder),
  });
}
