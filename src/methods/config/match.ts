/** Which modules a config hits. Source: `check_target_module_exists` in PEFT's `tuners/tuners_utils.py`. */
import { compilePattern, type Regex } from "../regex/index.ts";

type Names = string | readonly string[] | null;

export interface MatchRules {
  /** Names (exact, or a suffix after a dot), or one regular expression for the whole path. */
  readonly targets: Names;
  readonly exclude: Names;
  readonly modulesToSave: readonly string[];
  readonly layers: number | readonly number[] | null;
  readonly layersPattern: Names;
}

/** `top-level`: hit only because a layer list at the top of the path counts here (in PEFT it does not). */
export type Match = "hit" | "top-level" | "excluded" | "unmatched";

/** Whether a path is `name` or ends with `.name`, for one of many names. */
export function nameMatcher(names: readonly string[]): (path: string) => boolean {
  const known = new Set(names);
  return (path) => known.has(path) || suffixesOf(path).some((suffix) => known.has(suffix));
}

/** `b.c` and `c` for `a.b.c`, longest first. */
export function suffixesOf(path: string): string[] {
  const suffixes: string[] = [];
  for (let dot = path.indexOf("."); dot >= 0; dot = path.indexOf(".", dot + 1)) suffixes.push(path.slice(dot + 1));
  return suffixes;
}

/** `a` and `a.b` for `a.b.c`, shortest first. */
export function prefixesOf(path: string): string[] {
  const prefixes: string[] = [];
  for (let dot = path.indexOf("."); dot >= 0; dot = path.indexOf(".", dot + 1)) prefixes.push(path.slice(0, dot));
  return prefixes;
}

/** Compiles the rules. Throws CONFIG-REGEX. The tests run in PEFT's order: exclusion, saved modules, targets, layers. */
export function compileMatcher(rules: MatchRules): (path: string) => Match {
  const excluded = compileNames(rules.exclude, "exclude_modules");
  const saved = rules.modulesToSave.map((name) => compilePattern(`(^|.*\\.)${name}($|\\..*)`, "modules_to_save"));
  const found = compileNames(rules.targets, "target_modules");
  const literal = new Set(typeof rules.targets === "string" ? [] : rules.targets);
  const isRegex = typeof rules.targets === "string";
  const inLayer = compileLayerFilter(rules.layers, rules.layersPattern);
  return (path) => {
    if (excluded(path) || saved.some((pattern) => pattern.match(path) !== undefined)) return "excluded";
    if (!found(path)) return "unmatched";
    return isRegex || literal.has(path) ? "hit" : inLayer(path);
  };
}

function compileNames(names: Names, field: string): (path: string) => boolean {
  if (names === null || names.length === 0) return () => false;
  if (typeof names !== "string") return nameMatcher(names);
  const pattern = compilePattern(names, field);
  return (path) => pattern.fullMatch(path);
}

function compileLayerFilter(layers: MatchRules["layers"], layersPattern: Names): (path: string) => Match {
  if (layers === null || (typeof layers !== "number" && layers.length === 0)) return () => "hit";
  const wanted = new Set(typeof layers === "number" ? [layers] : layers);
  const patterns = layerPatterns(layersPattern);
  const answer = (number: string | undefined, hit: Match): Match => (wanted.has(Number(number)) ? hit : "unmatched");
  if (patterns === undefined) {
    const nested = compilePattern(".*?\\.[^.]*\\.(\\d+)\\.", "layers_to_transform");
    const topLevel = compilePattern("[^.]*\\.(\\d+)\\.", "layers_to_transform");
    return (path) => {
      const inside = nested.match(path);
      if (inside !== undefined) return answer(inside[1], "hit");
      const outside = topLevel.match(path);
      return outside === undefined ? "unmatched" : answer(outside[1], "top-level");
    };
  }
  return (path) => {
    for (const pattern of patterns) {
      const groups = pattern.match(path);
      // The number is the last group: a pattern may hold groups of its own.
      if (groups !== undefined) return answer(groups.at(-1), "hit");
    }
    return "unmatched";
  };
}

function layerPatterns(names: Names): Regex[] | undefined {
  if (names === null || names.length === 0) return undefined;
  const list = typeof names === "string" ? [names] : names;
  return list.map((name) => compilePattern(`(?:^|.*?\\.)${name}\\.(\\d+)\\.`, "layers_pattern"));
}

/** From this many targets on a list is replaced by the shortest suffixes that hit the same modules. */
export const compressionLength = 20;

/**
 * The shortest suffixes that hit the targets and none of the `others` (modules that the targets do not hit); the targets
 * themselves when nothing shorter does. Source: `_find_minimal_target_modules` in `tuners/tuners_utils.py`.
 */
export function compressTargets(targets: readonly string[], others: readonly string[]): string[] {
  const partsOf = (path: string): string[] => [path, ...suffixesOf(path)].reverse();
  const forbidden = new Set(others.flatMap(partsOf));
  const chosen = new Set<string>();
  const byShortestSuffix = [...new Set(targets)].map(partsOf).sort(compareLists);
  for (const suffixes of byShortestSuffix) {
    if (suffixes.slice(0, -1).some((suffix) => chosen.has(suffix))) continue;
    const first = suffixes.find((suffix) => !chosen.has(suffix) && !forbidden.has(suffix));
    if (first !== undefined) chosen.add(first);
  }
  return chosen.size === 0 || chosen.size >= new Set(targets).size ? [...targets] : [...chosen];
}

/** The order of Python lists of texts. */
function compareLists(a: readonly string[], b: readonly string[]): number {
  const at = a.findIndex((text, i) => text !== b[i]);
  if (at < 0) return a.length - b.length;
  if (at >= b.length) return 1;
  return a[at]! < b[at]! ? -1 : 1;
}
