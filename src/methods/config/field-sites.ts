/** Sites that a config field of a method names itself, beside `target_modules`: LoRA's `trainable_token_indices`. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { ModuleInfo } from "../../models/model.ts";
import type { FieldValue } from "../fields.ts";
import { pythonRepr, shown } from "./python-text.ts";

/** A field that names sites. Its value is for the first module of the first kind, or a map from ends of module paths to values. */
export interface FieldSites {
  readonly field: string;
  readonly siteKinds: readonly string[];
}

/** A module that a field names. */
export interface NamedModule {
  readonly module: ModuleInfo;
  readonly from: string;
}

/** The same with the fields as they hold there: the field has the value of this module alone. */
export interface NamedSite extends NamedModule {
  readonly fields: Readonly<Record<string, FieldValue>>;
}

const isMap = (value: FieldValue): value is { readonly [key: string]: FieldValue } =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The value of one site. Throws CONFIG-FIELD-TYPE for anything but a list of whole numbers with at least one. */
function indices(field: string, value: FieldValue): FieldValue {
  if (Array.isArray(value) && value.length > 0 && value.every((index) => Number.isSafeInteger(index))) return value;
  throw new WebpeftError("CONFIG-FIELD-TYPE", {
    message: `${field} does not say which.`,
    where: field,
    expected: "a list of whole numbers that is not empty, or an object with such lists by module",
    got: shown(value),
  });
}

/** Throws CONFIG-FIELD-SITES for names that hit nothing, or a module of another kind; CONFIG-FIELD-TYPE for a value that is no list. */
export function findFieldSites(
  { field, siteKinds }: FieldSites,
  fields: Readonly<Record<string, FieldValue>>,
  modules: readonly ModuleInfo[],
): NamedSite[] {
  const value = fields[field] ?? null;
  if (value === null) return [];
  if (!isMap(value)) {
    const first = modules.find(({ kind }) => kind === siteKinds[0]);
    if (first === undefined) throw notFound(field, siteKinds[0]!);
    return [{ module: first, fields: { ...fields, [field]: indices(field, value) }, from: field }];
  }
  return Object.entries(value).flatMap(([name, own]) => {
    const hits = modules.filter(({ path }) => path.endsWith(name));
    if (hits.length === 0) throw notFound(field, name);
    return hits.map((module): NamedSite => {
      if (!siteKinds.includes(module.kind)) throw wrongKind(field, module, siteKinds);
      return { module, fields: { ...fields, [field]: indices(field, own) }, from: field };
    });
  });
}

const notFound = (field: string, name: string): WebpeftError =>
  new WebpeftError("CONFIG-FIELD-SITES", {
    message: `Target modules ${pythonRepr([name])} not found in the base model. Please check the target modules and try again.`,
    where: field,
    got: shown(name),
  });

const wrongKind = (field: string, { path, kind }: ModuleInfo, siteKinds: readonly string[]): WebpeftError =>
  new WebpeftError("CONFIG-FIELD-SITES", {
    message: `${field} names ${path}, which it cannot change.`,
    where: field,
    expected: `modules of kind ${siteKinds.join(" or ")}`,
    got: kind,
  });

/** Throws CONFIG-FIELD-SITES for a module that is adapted or trained in full as well: neither leaves anything to train in part. */
export function checkFieldSites(
  sites: readonly NamedSite[],
  targets: ReadonlySet<string>,
  modulesToSave: readonly string[],
): void {
  const target = sites.find(({ module }) => targets.has(module.path));
  if (target !== undefined) {
    throw new WebpeftError("CONFIG-FIELD-SITES", {
      message: `${target.from} cannot be applied to ${target.module.path}, which is a target module.`,
      where: target.from,
      got: target.module.path,
      help: `Remove it from target_modules or from ${target.from}.`,
    });
  }
  const both = sites.find(({ module }) =>
    modulesToSave.some((path) => module.path === path || module.path.startsWith(`${path}.`)),
  );
  if (both === undefined) return;
  throw new WebpeftError("CONFIG-FIELD-SITES", {
    message:
      "The embedding layer is already marked to be trained fully, either specify it in `modules_to_save` or in `trainable_token_indices`.",
    where: both.from,
    got: both.module.path,
    help: `Remove it from modules_to_save or from ${both.from}.`,
  });
}
