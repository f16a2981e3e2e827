/** Parts of the base model that train beside the adapter: `modules_to_save` copies and biases. */
import { type DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import type { ModuleInfo } from "../../models/model.ts";
import { taskHeads } from "./defaults.ts";
import { nameMatcher } from "./match.ts";
import { pythonRepr } from "./python-text.ts";

/** One tensor of the base model that trains and is saved; several keys of the file may hold it. */
export interface TrainedBaseTensor {
  /** Path of its module with `.weight`, `.bias` or the name of another parameter. */
  readonly name: string;
  /** Key in the base model's file. */
  readonly weight: string;
  /** Keys in the adapter's file, all with the trained values. */
  readonly keys: readonly string[];
  /** Keys in the adapter's file with the frozen original. */
  readonly frozenKeys: readonly string[];
}

/** Adds the heads of the task to `modules_to_save`, before targets are looked for, without changing the given list. */
export function withTaskHeads(
  modulesToSave: readonly string[] | null,
  taskType: string | null,
): readonly string[] | null {
  const heads = taskType !== null && Object.hasOwn(taskHeads, taskType) ? taskHeads[taskType]! : [];
  if (heads.length === 0) return modulesToSave;
  const given = modulesToSave ?? [];
  return [...given, ...heads.filter((head) => !given.includes(head))];
}

/**
 * The paths of the modules that are trained in full. Names are matched exactly or after a dot. Warns of names that hit
 * nothing (task heads only when none does) and of modules that PEFT would wrap too. Throws CONFIG-SAVE-KIND for lists of modules.
 */
export function findModulesToSave(
  names: readonly string[],
  taskType: string | null,
  modules: readonly ModuleInfo[],
  sink: DiagnosticSink,
): string[] {
  const isSaved = nameMatcher(names);
  const paths: string[] = [];
  for (const { path } of modules) {
    if (path === "" || !isSaved(path) || paths.some((outer) => path.startsWith(`${outer}.`))) continue;
    refuseModuleList(path, modules);
    paths.push(path);
  }
  warnUnused(names, taskType, modules, sink);
  warnPlainEnds(names, modules, isSaved, sink);
  return paths;
}

/** A container whose children are all numbered is a list of modules, which has no forward pass to replace. */
function refuseModuleList(path: string, modules: readonly ModuleInfo[]): void {
  const below = modules.filter((module) => module.path.startsWith(`${path}.`));
  const children = below.map((module) => module.path.slice(path.length + 1).split(".")[0]!);
  if (children.length === 0 || !children.every((name) => /^\d+$/.test(name))) return;
  throw new WebpeftError("CONFIG-SAVE-KIND", {
    message: "modules_to_save cannot be applied to modules of type ModuleList",
    where: path,
    help: "Name the modules inside of it.",
  });
}

function warnUnused(
  names: readonly string[],
  taskType: string | null,
  modules: readonly ModuleInfo[],
  sink: DiagnosticSink,
): void {
  const hits = (name: string): boolean => {
    const isNamed = nameMatcher([name]);
    return modules.some((module) => isNamed(module.path));
  };
  const heads = taskType !== null && Object.hasOwn(taskHeads, taskType) ? taskHeads[taskType]! : [];
  const quiet = heads.some(hits) ? heads : [];
  const unused = names.filter((name) => !quiet.includes(name) && !hits(name));
  if (unused.length === 0) return;
  sink.warn("CONFIG-SAVE-UNUSED", {
    message: `The following modules_to_save did not match any module and were ignored: ${pythonRepr([...new Set(unused)])}.`,
    where: "modules_to_save",
  });
}

function warnPlainEnds(
  names: readonly string[],
  modules: readonly ModuleInfo[],
  isSaved: (path: string) => boolean,
  sink: DiagnosticSink,
): void {
  const more = modules.filter(({ path }) => !isSaved(path) && names.some((name) => name !== "" && path.endsWith(name)));
  if (more.length === 0) return;
  sink.warn("CONFIG-SAVE-PLAIN-END", {
    message: `modules_to_save means full names here; PEFT would also train ${more.map((module) => module.path).join(", ")}.`,
    where: "modules_to_save",
    help: "Add these modules by name to train them too; files made by PEFT hold their tensors.",
  });
}

/** `none`, `all`, or `targets` for any value that ends with `_only`. Throws CONFIG-BIAS. */
export function biasMode(bias: string): "none" | "all" | "targets" {
  if (bias === "none" || bias === "all") return bias;
  if (bias.endsWith("_only")) return "targets";
  throw new WebpeftError("CONFIG-BIAS", {
    message: `Requested bias: ${bias}, is not implemented.`,
    where: "bias",
    expected: "none, all, or a name that ends with _only",
    got: bias,
  });
}

/** Every tensor of the base that trains, in the model's order, with its keys in the adapter's file. */
export function trainedBaseTensors(
  modules: readonly ModuleInfo[],
  targets: ReadonlySet<string>,
  savedPaths: readonly string[],
  bias: "none" | "all" | "targets",
): TrainedBaseTensor[] {
  const ownerOf = (path: string): string | undefined =>
    savedPaths.find((saved) => path === saved || path.startsWith(`${saved}.`));
  return modules.flatMap((module) => {
    const owner = ownerOf(module.path);
    if (owner !== undefined) return savedTensors(module, owner, bias === "all");
    if (module.bias === undefined || bias === "none") return [];
    const adapted = targets.has(module.path);
    if (bias === "targets" && !adapted) return [];
    const key = `base_model.model.${module.path}${adapted ? ".base_layer" : ""}.bias`;
    return [{ name: `${module.path}.bias`, weight: module.bias, keys: [key], frozenKeys: [] }];
  });
}

/** Frozen originals that stand beside trained copies in the file. */
export const frozenOriginals = (tensors: readonly TrainedBaseTensor[]): { key: string; weight: string }[] =>
  tensors.flatMap(({ weight, frozenKeys }) => frozenKeys.map((key) => ({ key, weight })));

/** With `bias: all` PEFT writes the bias of a saved module three times: the copy under two names, and the original. */
function savedTensors(module: ModuleInfo, owner: string, allBiases: boolean): TrainedBaseTensor[] {
  const tensors: TrainedBaseTensor[] = [];
  const key = `base_model.model.${module.path}`;
  if (module.weight !== undefined) {
    tensors.push({ name: `${module.path}.weight`, weight: module.weight, keys: [`${key}.weight`], frozenKeys: [] });
  }
  for (const [name, parameter] of Object.entries(module.parameters ?? {}))
    tensors.push({ name: `${module.path}.${name}`, weight: parameter.key, keys: [`${key}.${name}`], frozenKeys: [] });
  if (module.bias === undefined) return tensors;
  const inside = (wrapper: string): string =>
    `base_model.model.${owner}.${wrapper}${module.path.slice(owner.length)}.bias`;
  tensors.push({
    name: `${module.path}.bias`,
    weight: module.bias,
    keys: allBiases ? [`${key}.bias`, inside("modules_to_save")] : [`${key}.bias`],
    frozenKeys: allBiases ? [inside("original_module")] : [],
  });
  return tensors;
}
