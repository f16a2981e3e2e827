/** From a config's targets to the list of adapted modules: defaults, "all-linear", compression, errors. */
import type { Code } from "../../ir/codes/index.ts";
import { type DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import type { ModuleInfo } from "../../models/model.ts";
import { type DefaultTargets, targetsIn, untargetedHead } from "./defaults.ts";
import {
  compileMatcher,
  compressionLength,
  compressTargets,
  type Match,
  type MatchRules,
  nameMatcher,
  prefixesOf,
  suffixesOf,
} from "./match.ts";
import type { MethodProfile } from "./profiles.ts";
import { pythonRepr, pythonStr, pythonTargets } from "./python-text.ts";

export interface TargetRequest {
  readonly peftType: string;
  readonly profile: MethodProfile;
  readonly defaults: DefaultTargets;
  /** Kinds of modules that the method can adapt. */
  readonly siteKinds: readonly string[];
  readonly rules: MatchRules;
  readonly taskType: string | null;
  readonly modelType: string;
  readonly modules: readonly ModuleInfo[];
  /** Parameters are named as well, so that no module need be. */
  readonly beside: boolean;
}

export interface Targets {
  readonly hits: readonly ModuleInfo[];
  /** `target_modules` as PEFT would store it now: expanded, compressed. */
  readonly targets: MatchRules["targets"];
}

/** Finds the adapted modules in the model's order. Throws CONFIG-TARGETS-... when there is none, with PEFT's texts. */
export function findTargets(request: TargetRequest, sink: DiagnosticSink): Targets {
  const { modules, rules } = request;
  const targets = settleTargets(request);
  if (request.beside && (targets === null || targets.length === 0)) return { hits: [], targets };
  const matcher = compileMatcher({ ...rules, targets });
  const isHit = ({ path }: ModuleInfo): boolean => path !== "" && !["unmatched", "excluded"].includes(matcher(path));
  // Names of the file stand for those in memory only in configs that have none of the latter, which PEFT refuses.
  const aliases = modules.some(isHit) ? new Map<string, string>() : fileNames(modules);
  const hits: ModuleInfo[] = [];
  const hitPaths = new Set<string>();
  let [excluded, unmatched, topLevel] = [0, 0, 0];
  for (const module of modules) {
    if (module.path === "" || prefixesOf(module.path).some((path) => hitPaths.has(path))) continue;
    const match = matchEither(matcher, module.path, aliases.get(module.path));
    if (match === "excluded") excluded++;
    else if (match === "unmatched") unmatched++;
    else {
      hits.push(module);
      hitPaths.add(module.path);
    }
    if (match === "top-level") topLevel++;
  }
  if (hits.length === 0 && !request.beside) throw nothingHit(request, targets, excluded, unmatched);
  if (rules.exclude !== null && rules.exclude.length > 0 && excluded === 0) warnNothingExcluded(rules.exclude, sink);
  if (topLevel > 0) noteTopLevel(topLevel, sink);
  warnUnused(request, aliases, sink);
  checkKinds(request, hits);
  return { hits, targets };
}

/** A regular expression that PEFT would apply to one name is that name here. */
function settleTargets(request: TargetRequest): MatchRules["targets"] {
  const { profile, modules, defaults } = request;
  const preset = typeof defaults === "function" ? defaults(modules) : targetsIn(defaults, request.modelType);
  let targets = request.rules.targets ?? preset;
  if (targets === undefined && request.beside) return null;
  if (targets === undefined) throw noDefault(request);
  if (typeof targets === "string" && targets.toLowerCase() === "all-linear") targets = allLinear(request);
  if (typeof targets === "string") return profile.targetIsName ? [targets] : targets;
  if (targets.length < compressionLength || !profile.compresses) return targets;
  const isTarget = nameMatcher(targets);
  const others = modules.map((module) => module.path).filter((path) => !isTarget(path));
  return compressTargets(targets, others);
}

const allLinear = ({ modules, taskType }: TargetRequest): string[] =>
  linearPaths(modules, untargetedHead(modules, taskType));

/** Paths of all linear layers but one. */
export const linearPaths = (modules: readonly ModuleInfo[], head: string | undefined): string[] =>
  modules.flatMap(({ kind, layout, path }) =>
    kind === "linear" && layout !== "patches" && path !== head ? [path] : [],
  );

/** Names of modules in the base's file where they differ from those in memory and belong to one module only. */
function fileNames(modules: readonly ModuleInfo[]): Map<string, string> {
  const owners = new Map<string, string[]>();
  for (const { path, weight } of modules) {
    if (!weight?.endsWith(".weight")) continue;
    const name = weight.slice(0, -".weight".length);
    owners.set(name, [...(owners.get(name) ?? []), path]);
  }
  const paths = new Set(modules.map((module) => module.path));
  const unique = [...owners].filter(([name, owner]) => owner.length === 1 && !paths.has(name));
  return new Map(unique.map(([name, owner]) => [owner[0]!, name]));
}

function matchEither(matcher: (path: string) => Match, path: string, alias: string | undefined): Match {
  const match = matcher(path);
  if (alias === undefined || match === "excluded") return match;
  const other = matcher(alias);
  return other === "excluded" || match === "unmatched" ? other : match;
}

const noDefault = ({ profile, modelType }: TargetRequest): WebpeftError =>
  new WebpeftError("CONFIG-TARGETS-NO-DEFAULT", {
    message: (profile.noTargets ?? "Please specify `target_modules` in `peft_config`").replace(
      "{model_type}",
      modelType,
    ),
    where: "target_modules",
    expected: `names of modules: there is no default for model type ${modelType}`,
    got: "null",
  });

function nothingHit(
  { profile, rules }: TargetRequest,
  targets: MatchRules["targets"],
  excluded: number,
  unmatched: number,
): WebpeftError {
  const error = (code: Code, message: string): WebpeftError =>
    new WebpeftError(code, { message, where: "target_modules", got: pythonTargets(targets) });
  if (profile.compatibleName !== undefined) {
    const text = "Please check `peft_config.target_modules`.";
    return error(
      "CONFIG-TARGETS-INCOMPATIBLE",
      `No layers types compatible with ${profile.compatibleName} were found. ${text}`,
    );
  }
  if (excluded > 0 && unmatched === 0) {
    return error(
      "CONFIG-TARGETS-EXCLUDED",
      "All modules were excluded. This is likely unintended. Check your `target_modules`, `exclude_modules` and " +
        "`modules_to_save` configuration.",
    );
  }
  if (excluded > 0) {
    return error(
      "CONFIG-TARGETS-UNMATCHED",
      "No modules were targeted for adaptation. This might be caused by a combination of mismatched target modules and " +
        "excluded modules. Please check your `target_modules` and `exclude_modules` configuration. You may also have only " +
        "targeted modules that are marked to be saved (`modules_to_save`).",
    );
  }
  if (targets === null || targets.length === 0) {
    return error(
      "CONFIG-TARGETS-EMPTY",
      "No `target_modules` passed but also no `target_parameters` found. Please check the values for these arguments.",
    );
  }
  return error("CONFIG-TARGETS-NOT-FOUND", notFoundText(rules, targets));
}

function notFoundText(rules: MatchRules, targets: MatchRules["targets"]): string {
  const first = `Target modules ${pythonTargets(targets)} not found in the base model.`;
  const layers = rules.layers === null ? "" : ` Note: You specified 'layers_to_transform': ${pythonStr(rules.layers)}.`;
  const pattern =
    rules.layersPattern === null ? "" : ` You also specified 'layers_pattern': ${pythonStr(rules.layersPattern)}.`;
  return `${first} Please check the target modules and try again.${layers}${pattern}`;
}

function warnNothingExcluded(exclude: NonNullable<MatchRules["exclude"]>, sink: DiagnosticSink): void {
  sink.warn("CONFIG-EXCLUDE-UNUSED", {
    message:
      `You have passed exclude_modules=${pythonTargets(exclude)} but no modules were excluded. ` +
      "Please check that exclude_modules was set correctly.",
    where: "exclude_modules",
  });
}

/** Names of the config beside which others hit, and which no module has. */
function warnUnused(
  { rules, modules }: TargetRequest,
  aliases: ReadonlyMap<string, string>,
  sink: DiagnosticSink,
): void {
  if (rules.targets === null || typeof rules.targets === "string") return;
  const unused = new Set(rules.targets.filter((name) => name.toLowerCase() !== "all-linear"));
  for (const { path } of modules) {
    if (unused.size === 0) return;
    for (const name of [path, aliases.get(path) ?? path])
      for (const end of [name, ...suffixesOf(name)]) unused.delete(end);
  }
  if (unused.size === 0) return;
  sink.warn("CONFIG-TARGETS-UNUSED", {
    message: `The following target_modules did not match any module: ${pythonRepr([...unused])}.`,
    where: "target_modules",
    help: "PEFT says nothing of them; check their spelling, and whether the config is for this base model.",
  });
}

function noteTopLevel(count: number, sink: DiagnosticSink): void {
  sink.note("CONFIG-LAYERS-TOP-LEVEL", {
    message: `layers_to_transform counts layers at the top of the module path (${count} targets); PEFT does not.`,
    where: "layers_to_transform",
    help: "With layers_pattern, PEFT hits the same modules.",
  });
}

const moduleNames: Readonly<Record<string, string>> = {
  linear: "Linear, Conv1D",
  embedding: "Embedding",
  norm: "norms",
};

function checkKinds({ peftType, profile, siteKinds }: TargetRequest, hits: readonly ModuleInfo[]): void {
  if (profile.anyModule) return;
  const convolution = hits.find(({ layout }) => layout === "patches" && !profile.patches);
  if (convolution !== undefined) throw noConvolution(peftType, convolution.path);
  const wrong = hits.find((hit) => !siteKinds.includes(hit.kind));
  if (wrong === undefined) return;
  const kinds = siteKinds.map((kind) => moduleNames[kind] ?? kind).join(", ");
  throw new WebpeftError("CONFIG-TARGET-KIND", {
    message: `Target module ${wrong.path} (${wrong.kind}) is not supported. Currently, only ${kinds} can be adapted with ${peftType}.`,
    where: wrong.path,
    expected: kinds,
    got: wrong.kind,
    help: "Name the layers inside of it, or leave it out with exclude_modules.",
  });
}

const noConvolution = (peftType: string, path: string): WebpeftError =>
  new WebpeftError("CONFIG-TARGET-CONVOLUTION", {
    message: `Target module ${path} is a convolution, which ${peftType} does not adapt here.`,
    where: path,
    expected: "linear layers",
    got: "Conv2d",
    help: "Leave it out with exclude_modules, train it in full with modules_to_save, or use LORA, HIRA, IA3, OFT, BOFT, HRA or LOHA.",
  });
