/** The tensors of the whole model, and of one site, as the adapter's file knows them. */
import { hostValues } from "../lib/initial.ts";
import { type Site, siteKey } from "../site.ts";
import type { TensorItem } from "./ast.ts";
import type { ElaboratedTensor } from "./elaboration-types.ts";
import { constant, evaluate, shapeOf } from "./evaluate.ts";
import { arrayOf, checkPlaces, coding, patchForm, replacedRows } from "./file-forms.ts";
import type { Notes } from "./notes.ts";
import { type ModelScope, Scope } from "./scope.ts";
import { exists, holds, isEmpty, ownTensors, projects, tensorsOf } from "./site-tensors.ts";
import { describe } from "./value.ts";

/**
 * Saved constants, then trained and frozen tensors; `notes` get the numbers of those that are known. `tied` (see `ElaborationInput`): those
 * that are another tensor's transpose belong to that one.
 */
export function siteEntries(
  scope: Scope,
  site: Site,
  notes: Notes,
  tied: ReadonlyMap<string, string>,
): ElaboratedTensor[] {
  const own = ownTensors(scope).filter((item) => !tied.has(siteKey(site.path, item.key!)));
  return [
    ...tensorsOf(scope, "const").flatMap((item) =>
      item.key === undefined ? [] : [constantEntry(scope, item, site, notes)],
    ),
    ...own.map((item) => withTurned(ownEntry(scope, item, site, notes), tied)),
  ];
}

function withTurned(entry: ElaboratedTensor, tied: ReadonlyMap<string, string>): ElaboratedTensor {
  const turned = [...tied].flatMap(([other, of]) => (of === entry.key ? [other] : []));
  return turned.length === 0 ? entry : { ...entry, turned };
}

/** What all of them have, in a file that holds f32 numbers. */
const entry = (scope: Scope, item: TensorItem, key: string, role: ElaboratedTensor["role"]): ElaboratedTensor => ({
  ...{ key, shape: shapeOf(scope, item), role, dtype: "f32", aliases: [] },
  ...{ saved: holds(scope, item.saveIf), project: false },
});

function constantEntry(scope: Scope, item: TensorItem, site: Site, notes: Notes): ElaboratedTensor {
  const { data, whole } = constant(scope, item);
  const key = siteKey(site.path, item.key!);
  notes.put(key, whole ? Int32Array.from(data) : Float32Array.from(data));
  const within = arrayOf(scope, item);
  if (within !== undefined) checkPlaces(scope, item, within, data);
  return {
    ...{ ...entry(scope, item, key, "buffer"), dtype: whole ? "i32" : "f32", saved: true, site: site.index },
    ...(within === undefined ? {} : { within }),
  };
}

/** A tensor of no numbers is in the file and nowhere else: no port has its name, and nothing of it trains. */
function ownEntry(scope: Scope, item: TensorItem, site: Site, notes: Notes): ElaboratedTensor {
  const [form, inPatches, rows] = [coding(scope, item), patchForm(scope, item), replacedRows(scope, item)];
  const [key, empty] = [siteKey(site.path, item.key!), isEmpty(scope, item)];
  if (empty) notes.put(key, new Float32Array(0));
  return {
    ...entry(scope, item, key, item.role === "param" && !empty ? "param" : "buffer"),
    aliases: item.tied && site.follower !== undefined ? [siteKey(site.follower.path, item.key!)] : [],
    site: site.index,
    storedAsBase: item.storedAs === "base",
    project: projects(scope, item),
    ...(form === undefined ? {} : { coding: form }),
    ...(inPatches === undefined ? {} : { patchForm: inPatches }),
    ...(rows === undefined ? {} : { replaces: rows }),
  };
}

/** What the whole model shares; `notes` get the numbers of what is frozen. */
export const sharedEntries = (scope: Scope, notes: Notes): ElaboratedTensor[] =>
  tensorsOf(scope, "shared").map((item) => {
    const { also, trained } = item;
    const key = item.key!;
    const made = entry(scope, item, key, trained === true ? "param" : "buffer");
    if (trained !== true) notes.put(key, frozenValues(scope, item, made.shape));
    const aliases = also === undefined ? [] : scope.model.sites.map(({ path }) => siteKey(path, also));
    return { ...made, aliases, ...(item.file === undefined ? {} : { file: "encoder" }) };
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
  const values =
    value.kind === "distribution" ? hostValues(value.distribution, shape, scope.model.base.bfloat16) : undefined;
  if (values !== undefined) return values;
  throw scope.error("METHOD-TYPE", item.value.at, {
    message: `The shared tensor ${item.name} must be drawn from a stream or filled.`,
    expected: "torch_kaiming_uniform(stream), zeros, ones or fill(x)",
    got: describe(value),
  });
}
