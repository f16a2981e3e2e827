/**
 * Names that the layers of experts had before they were matrices of one parameter. PEFT makes names of parameters of them, for LoRA alone, whenever a
 * model has experts; where two layers became one tensor, its rank and its scale are twice those of each.
 */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { ModuleInfo } from "../../models/model.ts";
import { compileMatcher, type MatchRules } from "./match.ts";
import { type Fields, list, text } from "./read.ts";

/** Former names by the parameter's name now. */
function formerNames(modules: readonly ModuleInfo[]): ReadonlyMap<string, readonly string[]> {
  const former = new Map<string, readonly string[]>();
  for (const { path, parameters = {} } of modules)
    for (const [name, { matrices, parts }] of Object.entries(parameters)) {
      if (!matrices) continue;
      const layers = parts?.map((part) => part.split(".").at(-2)!);
      const own = path.split(".").at(-1)!;
      former.set(layers === undefined ? `${own}.${name}` : name, layers === undefined ? [own] : [...new Set(layers)]);
    }
  return former;
}

const last = (path: string): string => path.slice(path.lastIndexOf(".") + 1);

/** The last names of what a regular expression hits: modules, their tensors, and layers that experts had before. */
function hitBy(rules: MatchRules, modules: readonly ModuleInfo[]): string[] {
  const matcher = compileMatcher(rules);
  const paths = modules.flatMap(({ path, weight, bias, parameters = {} }) => [
    path,
    ...(weight === undefined ? [] : [`${path}.weight`]),
    ...(bias === undefined ? [] : [`${path}.bias`]),
    ...Object.entries(parameters).flatMap(([name, { parts = [] }]) => [
      `${path}.${name}`,
      ...parts.map((part) => `${path}.${part.split(".").at(-2)}`),
    ]),
  ]);
  return paths.filter((path) => !["unmatched", "excluded"].includes(matcher(path))).map(last);
}

/** The targets as a list; undefined where a regular expression hits nothing. */
function listed(
  fields: Fields,
  rules: MatchRules,
  modules: readonly ModuleInfo[],
  linear: () => readonly string[],
  all: readonly string[],
) {
  const targets = fields.target_modules ?? null;
  const name = text(targets);
  if (name === null) return list(targets) ?? [];
  const hit = name.toLowerCase() === "all-linear" ? [...linear().map(last), ...all] : hitBy(rules, modules);
  return hit.length === 0 ? undefined : [...new Set(hit)];
}

/** Throws CONFIG-FIELD-SITES where only some of the layers are named that are one tensor now. */
export function withFusedTargets(
  fields: Fields,
  rules: MatchRules,
  modules: readonly ModuleInfo[],
  linear: () => readonly string[],
): Fields {
  const former = formerNames(modules);
  if (former.size === 0 || text(fields.target_parameters) !== null) return fields;
  const targets = listed(fields, rules, modules, linear, [...former.values()].flat());
  if (targets === undefined) return fields;
  const isNamed = (target: string, name: string): boolean => target === name || target.endsWith(`.${name}`);
  const parameters = new Set(list(fields.target_parameters) ?? []);
  const patterns: { rank: Record<string, number>; alpha: Record<string, number> } = { rank: {}, alpha: {} };
  const [rank, alpha] = [Number(fields.r), Number(fields.lora_alpha)];
  for (const [name, layers] of former) {
    const given = layers.filter((layer) => targets.some((target) => isNamed(target, layer)));
    if (given.length === 0) continue;
    if (given.length < layers.length) throw inPart(name, layers, given);
    parameters.add(name);
    if (layers.length === 1) continue;
    patterns.rank[`.*\\.${name}`] = rank * layers.length;
    patterns.alpha[`.*\\.${name}`] = alpha * layers.length;
  }
  const gone = [...former.values()].flat();
  const object = (value: unknown): Record<string, number> => (value ?? {}) as Record<string, number>;
  return {
    ...fields,
    target_modules: targets.filter((target) => !gone.some((name) => isNamed(target, name))),
    target_parameters: [...parameters],
    rank_pattern: { ...object(fields.rank_pattern), ...patterns.rank },
    alpha_pattern: { ...object(fields.alpha_pattern), ...patterns.alpha },
  };
}

function inPart(name: string, layers: readonly string[], given: readonly string[]): WebpeftError {
  const missing = layers.filter((layer) => !given.includes(layer)).sort();
  return new WebpeftError("CONFIG-FIELD-SITES", {
    message: `Cannot convert PEFT target(s) ${[...given].sort().join(", ")} without also targeting ${missing.join(", ")} because they are fused into ${name}.`,
    where: "target_modules",
    expected: layers.join(", "),
    got: given.join(", "),
  });
}
