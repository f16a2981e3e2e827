/** Sites that are parameters of modules and no layers: the matrices of experts and of their routers, by LoRA's `target_parameters`. */
import { type DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import type { ModuleInfo } from "../../models/model.ts";
import type { FieldValue } from "../fields.ts";
import type { FieldSites, NamedModule } from "./field-sites.ts";
import { pythonRepr, shown } from "./python-text.ts";

/** The kind of such sites. */
export const parameterKind = "parameter";

/** The names of a field. Throws CONFIG-FIELD-TYPE for anything but a list of texts, or null. */
function namesOf(field: string, value: FieldValue): readonly string[] {
  if (value === null) return [];
  if (Array.isArray(value) && value.every((name) => typeof name === "string")) return value as readonly string[];
  throw new WebpeftError("CONFIG-FIELD-TYPE", {
    message: `\`${field}\` must be a list of strings or None.`,
    where: field,
    expected: "a list of names, or null",
    got: shown(value),
  });
}

/** The parameter as a site: its matrices below one another. `outer`: parameters of the module that PEFT wraps around it. */
function siteOf(module: ModuleInfo, name: string, outer: number): ModuleInfo & { readonly keys: string } {
  const { key, shape } = module.parameters![name]!;
  const [out, width] = shape.slice(-2) as [number, number];
  const matrices = shape.length === 3 ? shape[0]! : 1;
  return {
    ...{ path: `${module.path}.${name}`, kind: parameterKind, weight: key, layout: "linear" },
    ...{ in: width, out: matrices * out, matrices, keys: `${module.path}${".base_layer".repeat(outer)}` },
  };
}

/**
 * The parameters that a field names by the ends of their paths. Of several of one module the last is the outermost in PEFT's keys. Throws
 * CONFIG-FIELD-SITES for one that is no matrix of its own, CONFIG-FIELD-TYPE for a value that is no list of names.
 */
export function namedParameters(
  { field }: FieldSites,
  fields: Readonly<Record<string, FieldValue>>,
  modules: readonly ModuleInfo[],
): readonly NamedModule[] {
  const names = namesOf(field, fields[field] ?? null);
  const isNamed = (path: string): boolean => names.some((name) => path === name || path.endsWith(`.${name}`));
  return modules.flatMap((module) => {
    const own = Object.entries(module.parameters ?? {}).filter(([name]) => isNamed(`${module.path}.${name}`));
    const others = ["weight", "bias"].filter((name) => name in module && isNamed(`${module.path}.${name}`));
    const [wrong] = [...own.flatMap(([name, { matrices }]) => (matrices ? [] : [name])), ...others];
    if (wrong !== undefined) throw notMatrices(field, `${module.path}.${wrong}`);
    return own.map(([name], i) => ({ module: siteOf(module, name, own.length - 1 - i), from: field }));
  });
}

/** Warns of a field that names parameters of which the model has none. */
export function warnOfNone(
  { field }: FieldSites,
  fields: Readonly<Record<string, FieldValue>>,
  named: readonly NamedModule[],
  sink: DiagnosticSink,
): void {
  const names = namesOf(field, fields[field] ?? null);
  if (names.length === 0 || named.some(({ from }) => from === field)) return;
  const message = `target_parameters=${pythonRepr(names)} were set but no parameter was matched.`;
  sink.warn("CONFIG-TARGETS-UNUSED", { message, where: field });
}

const notMatrices = (field: string, path: string): WebpeftError =>
  new WebpeftError("CONFIG-FIELD-SITES", {
    message: `${field} names ${path}, which is the tensor of a layer.`,
    where: field,
    expected: "matrices of experts or of their routers",
    got: path,
    help: "Name layers in target_modules.",
  });
