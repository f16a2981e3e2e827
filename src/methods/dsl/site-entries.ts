/** The tensors of the whole model, and of one site, as the adapter's file knows them. */
import { hostValues } from "../lib/initial.ts";
import type { Site } from "../site.ts";
import type { TensorItem } from "./ast.ts";
import type { ElaboratedTensor } from "./elaboration-types.ts";
import { constant, evaluate, shapeOf } from "./evaluate.ts";
import type { Notes } from "./notes.ts";
import { type Scope, siteKey } from "./scope.ts";
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
  sharedTensors,
} from "./site-tensors.ts";
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
  const own = ownTensors(scope).filter((item) => !tied.has(siteKey(site, item.key!)));
  return [
    ...savedConstants(scope).map((item) => constantEntry(scope, item, site, notes)),
    ...own.map((item) => withTurned(ownEntry(scope, item, site, notes), tied)),
  ];
}

function withTurned(entry: ElaboratedTensor, tied: ReadonlyMap<string, string>): ElaboratedTensor {
  const turned = [...tied].flatMap(([other, of]) => (of === entry.key ? [other] : []));
  return turned.length === 0 ? entry : { ...entry, turned };
}

function constantEntry(scope: Scope, item: TensorItem, site: Site, notes: Notes): ElaboratedTensor {
  const { data, whole } = constant(scope, item);
  const key = siteKey(site, item.key!);
  notes.put(key, whole ? Int32Array.from(data) : Float32Array.from(data));
  const within = arrayOf(scope, item);
  if (within !== undefined) checkPlaces(scope, item, within, data);
  return {
    ...{ key, shape: shapeOf(scope, item), role: "buffer", dtype: whole ? "i32" : "f32", aliases: [], saved: true },
    ...{ site: site.index, project: false },
    ...(within === undefined ? {} : { within }),
  };
}

/** A tensor of no numbers is in the file and nowhere else: no port has its name, and nothing of it trains. */
function ownEntry(scope: Scope, item: TensorItem, site: Site, notes: Notes): ElaboratedTensor {
  const [form, inPatches, rows] = [coding(scope, item), patchForm(scope, item), replacedRows(scope, item)];
  const [key, empty] = [siteKey(site, item.key!), isEmpty(scope, item)];
  if (empty) notes.put(key, new Float32Array(0));
  return {
    key,
    shape: shapeOf(scope, item),
    role: item.role === "param" && !empty ? "param" : "buffer",
    dtype: "f32",
    aliases: item.tied && site.follower !== undefined ? [siteKey(site.follower, item.key!)] : [],
    saved: saved(scope, item),
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
  sharedTensors(scope).map((item) => {
    const shape = shapeOf(scope, item);
    if (item.trained !== true) notes.put(item.key!, frozenValues(scope, item, shape));
    const aliases = item.also === undefined ? [] : scope.model.sites.map((site) => siteKey(site, item.also!));
    return {
      key: item.key!,
      shape,
      role: item.trained === true ? "param" : "buffer",
      dtype: "f32",
      aliases,
      saved: saved(scope, item),
      project: false,
      ...(item.file === undefined ? {} : { file: "encoder" }),
    };
  });

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
