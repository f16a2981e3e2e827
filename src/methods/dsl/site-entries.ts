/** The tensors of one site as the adapter's file knows them. */
import type { TensorItem } from "./ast.ts";
import type { ElaboratedTensor } from "./elaboration-types.ts";
import { constant, shapeOf } from "./evaluate.ts";
import { type MethodSite, type Scope, siteKey } from "./scope.ts";
import {
  arrayOf,
  checkPlaces,
  coding,
  isEmpty,
  ownTensors,
  patchForm,
  projects,
  replacedRows,
  saved,
  savedConstants,
} from "./site-tensors.ts";
import type { HostTables } from "./tables.ts";

/**
 * Saved constants, then trained and frozen tensors; `tables` gets the numbers of those that are known. `tied` (see `ElaborationInput`): those
 * that are another tensor's transpose belong to that one.
 */
export function siteEntries(
  scope: Scope,
  site: MethodSite,
  tables: HostTables,
  tied: ReadonlyMap<string, string>,
): ElaboratedTensor[] {
  const own = ownTensors(scope).filter((item) => !tied.has(siteKey(site, item.key!)));
  return [
    ...savedConstants(scope).map((item) => constantEntry(scope, item, site, tables)),
    ...own.map((item) => withTurned(ownEntry(scope, item, site, tables), tied)),
  ];
}

function withTurned(entry: ElaboratedTensor, tied: ReadonlyMap<string, string>): ElaboratedTensor {
  const turned = [...tied].flatMap(([other, of]) => (of === entry.key ? [other] : []));
  return turned.length === 0 ? entry : { ...entry, turned };
}

function constantEntry(scope: Scope, item: TensorItem, site: MethodSite, tables: HostTables): ElaboratedTensor {
  const { data, whole } = constant(scope, item);
  const key = siteKey(site, item.key!);
  tables.put(key, whole ? Int32Array.from(data) : Float32Array.from(data));
  const within = arrayOf(scope, item);
  if (within !== undefined) checkPlaces(scope, item, within, data);
  return {
    ...{ key, shape: shapeOf(scope, item), role: "buffer", dtype: whole ? "i32" : "f32", aliases: [], saved: true },
    ...{ site: site.index, project: false },
    ...(within === undefined ? {} : { within }),
  };
}

/** A tensor of no numbers is in the file and nowhere else: no port has its name, and nothing of it trains. */
function ownEntry(scope: Scope, item: TensorItem, site: MethodSite, tables: HostTables): ElaboratedTensor {
  const [form, inPatches, rows] = [coding(scope, item), patchForm(scope, item), replacedRows(scope, item)];
  const [key, empty] = [siteKey(site, item.key!), isEmpty(scope, item)];
  if (empty) tables.put(key, new Float32Array(0));
  return {
    key,
    shape: shapeOf(scope, item),
    role: item.role === "param" && !empty ? "param" : "buffer",
    dtype: "f32",
    aliases: item.tied && site.tiedTo !== undefined ? [siteKey({ path: site.tiedTo }, item.key!)] : [],
    saved: saved(scope, item),
    site: site.index,
    storedAsBase: item.storedAs === "base",
    project: projects(scope, item),
    ...(form === undefined ? {} : { coding: form }),
    ...(inPatches === undefined ? {} : { patchForm: inPatches }),
    ...(rows === undefined ? {} : { replaces: rows }),
  };
}
