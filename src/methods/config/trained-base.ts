/** Parts of the base model that train beside the adapter: `modules_to_save` copies and biases. */
import { type DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import type { ModuleInfo } from "../../models/model.ts";
import { siteKey } from "../site.ts";
import { taskHeads } from "./defaults.ts";
import { nameMatcher } from "./match.ts";
import { pythonRepr } from "./python-text.ts";

/** One tensor of the base model that trains and is saved; several keys of the file may hold it. */
export interface TrainedBaseTensor {
  /** Paths of its modules with `.weight`, `.bias` or the name of another parameter: more than one where the ends of a tie train as one. */
  readonly names: readonly string[];
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

export interface SavedModulesRequest {
  readonly names: readonly string[];
  readonly taskType: string | null;
  readonly modules: readonly ModuleInfo[];
  /** Paths of the adapted modules. */
  readonly targets: ReadonlySet<string>;
  /** Whether the adapter's file holds a tensor of a module under this path; undefined without a file. */
  readonly held: ((path: string) => boolean) | undefined;
}

/**
 * The paths of the modules that are trained in full: as in PEFT, those whose paths end with one of the names, with or without a dot before
 * it. A file may know better: where it has tensors of none of the modules that are hit without a dot, they were not trained. Warns of names
 * that hit nothing (not of those for the task's head, which PEFT adds by itself). Throws CONFIG-SAVE-KIND for lists of modules and for adapted modules.
 */
export function findModulesToSave(request: SavedModulesRequest, sink: DiagnosticSink): string[] {
  const { names, taskType, modules, targets, held } = request;
  const isNamed = nameMatcher(names);
  const hits = modules.filter(({ path }) => path !== "" && names.some((name) => endsWith(path, name)));
  const plain = hits.filter(({ path }) => !isNamed(path));
  const isTrained = held === undefined || plain.some(({ path }) => held(path));
  if (plain.length > 0) notePlainEnds(plain, isTrained, sink);
  const paths: string[] = [];
  for (const { path } of isTrained ? hits : hits.filter((hit) => !plain.includes(hit))) {
    if (paths.some((outer) => path.startsWith(`${outer}.`))) continue;
    refuseModuleList(path, modules);
    refuseAdapted(path, targets);
    paths.push(path);
  }
  warnUnused(names, taskType, modules, sink);
  return paths;
}

const endsWith = (path: string, name: string): boolean => name !== "" && path.endsWith(name);

/** A module that is adapted, or holds one that is, cannot be trained in full as well. */
function refuseAdapted(path: string, targets: ReadonlySet<string>): void {
  const adapted = [...targets].find((target) => target === path || target.startsWith(`${path}.`));
  if (adapted === undefined) return;
  throw new WebpeftError("CONFIG-SAVE-KIND", {
    message: "modules_to_save cannot be applied to modules that are adapted",
    where: path,
    got: `${adapted}, which is a target module`,
    help: "Names in modules_to_save are ends of paths: give more of the path, or leave the module out of target_modules.",
  });
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
  const hits = (name: string): boolean => modules.some(({ path }) => endsWith(path, name));
  const heads = taskType !== null && Object.hasOwn(taskHeads, taskType) ? taskHeads[taskType]! : [];
  if (names.length > 0 && names.every((name) => heads.includes(name) && !hits(name))) noteFrozenHead(heads, sink);
  const unused = names.filter((name) => !heads.includes(name) && !hits(name));
  if (unused.length === 0) return;
  sink.warn("CONFIG-SAVE-UNUSED", {
    message: `The following modules_to_save did not match any module and were ignored: ${pythonRepr([...new Set(unused)])}.`,
    where: "modules_to_save",
  });
}

/** PEFT writes these names by itself, for whatever head the model has (T5's is `classification_head`). */
function noteFrozenHead(heads: readonly string[], sink: DiagnosticSink): void {
  sink.note("CONFIG-SAVE-HEAD", {
    message: "the head of the base model does not train: it has none of the names that PEFT trains by themselves.",
    where: "modules_to_save",
    expected: heads.join(" or "),
    help: "Name the model's head in modules_to_save, where it is to train.",
  });
}

/** One word may end many names: says which modules are hit in the middle of a word. */
function notePlainEnds(plain: readonly ModuleInfo[], isTrained: boolean, sink: DiagnosticSink): void {
  const paths = plain.map(({ path }) => path).join(", ");
  sink.note("CONFIG-SAVE-PLAIN-END", {
    message: isTrained
      ? `names in modules_to_save are ends of paths, as in PEFT: ${paths} train too.`
      : `names in modules_to_save also end ${paths}, but the file has no tensors of them: they were not trained.`,
    where: "modules_to_save",
    ...(isTrained ? {} : { help: "PEFT cannot load such a file: it expects these tensors." }),
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

/** Modules that train in full: their paths, and modules that train as one with an embedding among them, whose table they share. */
export interface SavedModules {
  readonly paths: readonly string[];
  readonly tied: readonly ModuleInfo[];
}

/** Every tensor of the base that trains, in the model's order, with its keys in the adapter's file, which begin with `prefix`. */
export function trainedBaseTensors(
  modules: readonly ModuleInfo[],
  targets: ReadonlySet<string>,
  { paths, tied }: SavedModules,
  bias: "none" | "all" | "targets",
  prefix: string,
): TrainedBaseTensor[] {
  const ownerOf = (path: string): string | undefined =>
    paths.find((saved) => path === saved || path.startsWith(`${saved}.`));
  return modules.flatMap((module) => {
    const owner = ownerOf(module.path);
    if (owner !== undefined) return withTied(savedTensors(module, owner, bias === "all", prefix), module, tied);
    if (module.bias === undefined || bias === "none") return [];
    const adapted = targets.has(module.path);
    if (bias === "targets" && !adapted) return [];
    const key = `${prefix}${module.path}${adapted ? ".base_layer" : ""}.bias`;
    return [{ names: [`${module.path}.bias`], weight: module.bias, keys: [key], frozenKeys: [] }];
  });
}

/** The tensors of a module, its weight also under the names of the modules that share it. */
function withTied(
  [weight, ...others]: TrainedBaseTensor[],
  module: ModuleInfo,
  tied: readonly ModuleInfo[],
): TrainedBaseTensor[] {
  const ends = module.kind === "embedding" ? tied.filter((end) => end.weight === module.weight) : [];
  if (weight === undefined || ends.length === 0) return weight === undefined ? [] : [weight, ...others];
  const names = ends.map(({ path }) => `${path}.weight`);
  const keys = ends.map(({ path }) => siteKey(path, "weight"));
  return [{ ...weight, names: [...weight.names, ...names], keys: [...weight.keys, ...keys] }, ...others];
}

/** Frozen originals that stand beside trained copies in the file. */
export const frozenOriginals = (tensors: readonly TrainedBaseTensor[]): { key: string; weight: string }[] =>
  tensors.flatMap(({ weight, frozenKeys }) => frozenKeys.map((key) => ({ key, weight })));

/** With `bias: all` PEFT writes the bias of a saved module three times: the copy under two names, and the original. */
function savedTensors(module: ModuleInfo, owner: string, allBiases: boolean, prefix: string): TrainedBaseTensor[] {
  const tensors: TrainedBaseTensor[] = [];
  const key = `${prefix}${module.path}`;
  if (module.weight !== undefined) {
    tensors.push({ names: [`${module.path}.weight`], weight: module.weight, keys: [`${key}.weight`], frozenKeys: [] });
  }
  for (const [name, parameter] of Object.entries(module.parameters ?? {}))
    tensors.push({
      names: [`${module.path}.${name}`],
      weight: parameter.key,
      keys: [`${key}.${name}`],
      frozenKeys: [],
    });
  if (module.bias === undefined) return tensors;
  const inside = (wrapper: string): string => `${prefix}${owner}.${wrapper}${module.path.slice(owner.length)}.bias`;
  tensors.push({
    names: [`${module.path}.bias`],
    weight: module.bias,
    keys: allBiases ? [`${key}.bias`, inside("modules_to_save")] : [`${key}.bias`],
    frozenKeys: allBiases ? [inside("original_module")] : [],
  });
  return tensors;
}
