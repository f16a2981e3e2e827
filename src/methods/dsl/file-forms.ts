/** How the adapter's file holds a tensor where that is not as it is: codings, forms at layers on patches, places and rows. */
import type { DiagnosticFields } from "../../ir/diagnostics.ts";
import { type CodingName, codings, type PatchForm, type TensorCoding } from "../../program/index.ts";
import type { Expression, TensorItem } from "./ast.ts";
import { evaluateKnown } from "./evaluate.ts";
import type { Scope } from "./scope.ts";
import { holds } from "./site-tensors.ts";

/** The coding of a tensor's numbers. Throws METHOD-ARGUMENT. */
export function coding(scope: Scope, { coded }: TensorItem): TensorCoding | undefined {
  if (coded === undefined || !holds(scope, coded.condition)) return undefined;
  const name = coded.form as CodingName;
  const { syntax, wants, argument, fits, ofWeight = false } = codings[name];
  const [value, ...more] = coded.arguments.map((given) => evaluateKnown(scope, given.value));
  const of = ofWeight ? { weight: scope.siteOrFail(coded.at).weight } : {};
  if (fits(value) && more.length === 0 && !Object.values(of).includes(undefined))
    return { name, [argument]: value, ...of } as TensorCoding;
  throw scope.error("METHOD-ARGUMENT", coded.at, { message: `${name} wants to know ${wants}.`, expected: syntax });
}

export const patchForms: readonly PatchForm["name"][] = ["kernel", "pointwise", "channels", "row"];

/** The form of a tensor at a layer on patches, where that is as PEFT's convolutions have it. */
export function patchForm(scope: Scope, { storedAs }: TensorItem): PatchForm | undefined {
  const patch = scope.site?.patch;
  const name = patchForms.find((form) => form === storedAs);
  return patch === undefined || name === undefined ? undefined : { name, patch };
}

/** The whole numbers, of at least `least`, of a clause that may be left out. Throws METHOD-ARGUMENT for anything else. */
function wholeNumbers(
  scope: Scope,
  clause: Expression | undefined,
  least: number,
  fault: Pick<DiagnosticFields, "message" | "expected">,
): readonly number[] | undefined {
  if (clause === undefined) return undefined;
  const value = evaluateKnown(scope, clause);
  const fits = Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= least);
  if (fits) return value;
  throw scope.error("METHOD-ARGUMENT", clause.at, { ...fault, got: JSON.stringify(value) });
}

/** The array that a saved constant holds places of. */
export const arrayOf = (scope: Scope, { within }: TensorItem): readonly number[] | undefined =>
  wholeNumbers(scope, within, 1, { message: "within wants a shape.", expected: "within [rows, columns]" });

/** The rows of the weight's table that the tensor replaces. */
export const replacedRows = (scope: Scope, { replaces }: TensorItem): readonly number[] | undefined => {
  const fault = { message: "replaces wants the numbers of rows.", expected: "a list of whole numbers" };
  return wholeNumbers(scope, replaces, Number.MIN_SAFE_INTEGER, fault);
};

/** Throws METHOD-ARGUMENT for places that lie outside of the array, a row of them per axis. */
export function checkPlaces(scope: Scope, item: TensorItem, within: readonly number[], data: ArrayLike<number>): void {
  const count = data.length / within.length;
  const outside = Array.from(data).find((place, i) => {
    const extent = within[Math.floor(i / count)];
    return extent === undefined || place < 0 || place >= extent;
  });
  if (outside === undefined) return;
  const expected = `places in [${within.join(", ")}]`;
  const message = `${item.name} holds places outside of its array.`;
  throw scope.error("METHOD-ARGUMENT", item.at, { message, expected, got: String(outside) });
}
