/** The tensors of the whole model, and of one site, as the adapter's file knows them: codings, forms at layers on patches, places and rows. */
import type { DiagnosticFields } from "../../ir/diagnostics.ts";
import { type CodingName, codings, type PatchForm, type TensorCoding } from "../../program/index.ts";
import { type Site, siteKey } from "../site.ts";
import type { Expression, TensorItem } from "./ast.ts";
import type { ElaboratedTensor } from "./elaboration-types.ts";
import { constant, evaluate, evaluateKnown, shapeOf } from "./evaluate.ts";
import { type ModelScope, Scope } from "./scope.ts";
import { exists, holds, isEmpty, ownTensors, projects, tensorsOf } from "./site-tensors.ts";
import { isWhole } from "./value.ts";

/** Saved constants, then trained and frozen tensors; those that are another tensor's transpose belong to that one. */
export function siteEntries(scope: Scope, site: Site): ElaboratedTensor[] {
  const { tied = new Map<string, string>() } = scope.model;
  const constants = tensorsOf(scope, "const").filter((item) => item.key !== undefined);
  const own = ownTensors(scope).filter((item) => !tied.has(scope.siteKey(item.key!)));
  const entries = own.map((item): ElaboratedTensor => {
    const made = ownEntry(scope, item, site);
    const turned = [...tied].flatMap(([other, of]) => (of === made.key ? [other] : []));
    return turned.length === 0 ? made : { ...made, turned };
  });
  return [...constants.map((item) => constantEntry(scope, item, site)), ...entries];
}

/** What all of them have, in a file that holds f32 numbers. */
const entry = (scope: Scope, item: TensorItem, key: string, role: ElaboratedTensor["role"]): ElaboratedTensor => ({
  ...{ key, shape: shapeOf(scope, item), role, dtype: "f32", aliases: [] },
  ...{ saved: holds(scope, item.saveIf), project: false },
});

function constantEntry(scope: Scope, item: TensorItem, site: Site): ElaboratedTensor {
  const { data, whole } = constant(scope, item);
  const key = scope.siteKey(item.key!);
  scope.model.notes.put(key, whole ? Int32Array.from(data) : Float32Array.from(data));
  const within = arrayOf(scope, item);
  if (within !== undefined) checkPlaces(scope, item, within, data);
  const made = entry(scope, item, key, "buffer");
  return { ...made, dtype: whole ? "i32" : "f32", saved: true, site: site.index, within };
}

/** A tensor of no numbers is in the file and nowhere else: no port has its name, and nothing of it trains. */
function ownEntry(scope: Scope, item: TensorItem, site: Site): ElaboratedTensor {
  const [key, empty] = [scope.siteKey(item.key!), isEmpty(scope, item)];
  if (empty) scope.model.notes.put(key, new Float32Array(0));
  return {
    ...entry(scope, item, key, item.role === "param" && !empty ? "param" : "buffer"),
    aliases: item.tied ? (site.followers ?? []).map(({ path }) => siteKey(path, item.key!)) : [],
    site: site.index,
    storedAsBase: item.storedAs === "base",
    project: projects(scope, item),
    coding: coding(scope, item),
    patchForm: patchForm(scope, item),
    replaces: replacedRows(scope, item),
  };
}

/** What the whole model shares. */
export const sharedEntries = (scope: Scope): ElaboratedTensor[] =>
  tensorsOf(scope, "shared").map((item) => {
    const { also, trained } = item;
    const made = entry(scope, item, item.key!, trained ? "param" : "buffer");
    if (!trained) scope.model.notes.put(made.key, frozenValues(scope, item, made.shape));
    const aliases = also === undefined ? [] : scope.model.sites.map(({ path }) => siteKey(path, also));
    return { ...made, aliases, file: item.file === undefined ? undefined : "encoder" };
  });

/** What the file holds of `computed` tensors: functions of what trains, for those who cannot compute them. */
export const computedEntries = (scope: Scope): ElaboratedTensor[] =>
  tensorsOf(scope, "computed").map((item) => entry(scope, item, item.key!, "computed"));

/** Whether tensors of an encoder's file would exist if it were there, and it is not. */
export function lacksEncoder(model: ModelScope): boolean {
  const scope = new Scope({ ...model, situation: { ...model.situation, encoder: true } });
  return (
    model.situation.encoder === false &&
    scope.items.some((item) => item.kind === "tensor" && item.file !== undefined && exists(scope, item))
  );
}

function frozenValues(scope: Scope, item: TensorItem, shape: readonly number[]): Float32Array {
  const value = evaluate(scope, item.value);
  const values = value.kind === "distribution" ? value.distribution.values : undefined;
  if (values !== undefined) return values(shape, scope.model.base.bfloat16);
  const message = `The shared tensor ${item.name} must be drawn from a stream or filled.`;
  throw scope.misfit(item.value.at, message, value, "torch_kaiming_uniform(stream), zeros, ones or fill(x)");
}

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
function patchForm(scope: Scope, { storedAs }: TensorItem): PatchForm | undefined {
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
  const fits = Array.isArray(value) && value.every((n) => isWhole(n, least));
  if (fits) return value;
  throw scope.error("METHOD-ARGUMENT", clause.at, { ...fault, got: JSON.stringify(value) });
}

/** The array that a saved constant holds places of. */
const arrayOf = (scope: Scope, { within }: TensorItem): readonly number[] | undefined =>
  wholeNumbers(scope, within, 1, { message: "within wants a shape.", expected: "within [rows, columns]" });

/** The rows of the weight's table that the tensor replaces. */
const replacedRows = (scope: Scope, { replaces }: TensorItem): readonly number[] | undefined => {
  const fault = { message: "replaces wants the numbers of rows.", expected: "a list of whole numbers" };
  return wholeNumbers(scope, replaces, Number.MIN_SAFE_INTEGER, fault);
};

/** Throws METHOD-ARGUMENT for places that lie outside of the array, a row of them per axis. */
function checkPlaces(scope: Scope, item: TensorItem, within: readonly number[], data: ArrayLike<number>): void {
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
