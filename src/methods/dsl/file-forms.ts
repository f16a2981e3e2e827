/** How the adapter's file holds a tensor where that is not as it is: codings, forms at layers on patches, places and rows. */
import type { PatchForm, TensorCoding } from "../../program/index.ts";
import type { Expression, Place, TensorItem } from "./ast.ts";
import { evaluateKnown } from "./evaluate.ts";
import type { Scope } from "./scope.ts";
import { holds } from "./site-tensors.ts";
import type { Known } from "./value.ts";

interface CodingForm<Coding> {
  /** How it is written. */
  readonly syntax: string;
  /** What the word wants to know. */
  readonly wants: string;
  /** Undefined where the value is none that it wants. */
  readonly made: (value: Known | undefined, scope: Scope, at: Place) => Coding | undefined;
}

/** The words behind `coded`; see `TensorCoding`. */
export const codings: { readonly [Coding in TensorCoding as Coding["name"]]: CodingForm<Coding> } = {
  top_k: {
    syntax: "top_k(count)",
    wants: "how many entries are kept",
    made: (count) => (isWhole(count) ? { name: "top_k", count } : undefined),
  },
  on_rows: {
    syntax: "on_rows([row, ...])",
    wants: "which rows of the site's table the file adds",
    made: (rows, scope, at) => {
      const { weight } = scope.siteOrFail(at);
      const areRows = weight !== undefined && isWholeList(rows) && rows.every((row) => row >= 0);
      return areRows ? { name: "on_rows", rows, weight } : undefined;
    },
  },
};

const isWhole = (value: Known | undefined): value is number => Number.isSafeInteger(value);
const isWholeList = (value: Known | undefined): value is readonly number[] =>
  Array.isArray(value) && value.every(isWhole);

/** The coding of a tensor's numbers. Throws METHOD-ARGUMENT. */
export function coding(scope: Scope, { coded }: TensorItem): TensorCoding | undefined {
  if (coded === undefined || !holds(scope, coded.condition)) return undefined;
  const { syntax, wants, made } = codings[coded.form as TensorCoding["name"]];
  const [value, ...more] = coded.arguments.map((argument) => evaluateKnown(scope, argument.value));
  const found = made(value, scope, coded.at);
  if (found !== undefined && more.length === 0) return found;
  throw scope.error("METHOD-ARGUMENT", coded.at, {
    message: `${coded.form} wants to know ${wants}.`,
    expected: syntax,
  });
}

export const patchForms: readonly PatchForm["name"][] = ["kernel", "pointwise", "channels", "row"];

/** The form of a tensor at a layer on patches, where that is as PEFT's convolutions have it. */
export function patchForm(scope: Scope, { storedAs }: TensorItem): PatchForm | undefined {
  const patch = scope.site?.patch;
  const name = patchForms.find((form) => form === storedAs);
  return patch === undefined || name === undefined ? undefined : { name, patch };
}

/** The whole numbers, of at least `least`, of a clause that may be left out; `fault` gives the error for anything else. */
function wholeNumbers(
  scope: Scope,
  clause: Expression | undefined,
  least: number,
  fault: (got: Known) => { message: string; expected: string; got?: string },
): readonly number[] | undefined {
  const value = clause === undefined ? undefined : evaluateKnown(scope, clause);
  if (value === undefined || (isWholeList(value) && value.every((n) => n >= least))) return value;
  throw scope.error("METHOD-ARGUMENT", clause!.at, fault(value));
}

/** The array that a saved constant holds places of. */
export const arrayOf = (scope: Scope, { within }: TensorItem): readonly number[] | undefined =>
  wholeNumbers(scope, within, 1, () => ({ message: "within wants a shape.", expected: "within [rows, columns]" }));

/** The rows of the weight's table that the tensor replaces. */
export const replacedRows = (scope: Scope, { replaces }: TensorItem): readonly number[] | undefined =>
  wholeNumbers(scope, replaces, Number.MIN_SAFE_INTEGER, (got) => ({
    message: "replaces wants the numbers of rows.",
    expected: "a list of whole numbers",
    got: JSON.stringify(got),
  }));

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
