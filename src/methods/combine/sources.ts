/** What a combination of adapters takes and gives. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { siteKey } from "../config/index.ts";
import type { Site } from "../site.ts";
import type { EntryOptions, EntryRule } from "./operators.ts";

/** Rules on the entries, of the factors or (`_svd`) of the deltas; `cat` puts factors side by side. */
export const combinations = {
  cat: {},
  svd: {},
  linear: {},
  ties: { prune: "magnitude", elect: true },
  ties_svd: { prune: "magnitude", elect: true },
  dare_linear: { prune: "random" },
  dare_linear_svd: { prune: "random" },
  dare_ties: { prune: "random", elect: true },
  dare_ties_svd: { prune: "random", elect: true },
  magnitude_prune: { prune: "magnitude" },
  magnitude_prune_svd: { prune: "magnitude" },
} as const satisfies Record<string, EntryRule>;

export type Combination = keyof typeof combinations;

export interface CombineOptions extends Partial<EntryOptions> {
  /** `svd` unless given, as in PEFT; one adapter alone is always scaled (`linear`). */
  readonly combination?: Combination;
  /** Rank of what `svd` makes; the largest rank of the sources unless given. */
  readonly rank?: number;
  /** With `svd`: entries of the factors are cut at this quantile (0 to 1) of all of them. */
  readonly clamp?: number;
}

/** One adapter with the numbers that it has now. */
export interface CombineSource {
  readonly name: string;
  readonly weight: number;
  readonly config: Readonly<Record<string, unknown>>;
  readonly sites: readonly Site[];
  /** By checkpoint key, with the shapes of the file. */
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
}

interface CombinedAdapter {
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
}

export type Combine = (sources: readonly CombineSource[], options: CombineOptions) => CombinedAdapter;

export const combineError = (
  code: "SESSION-COMBINE" | "SESSION-COMBINE-OPTION",
  message: string,
  where: string,
  details: { readonly expected?: string; readonly got?: string } = {},
): WebpeftError => new WebpeftError(code, { message, where, ...details });

/** The part of every source at one module, for the modules that any source adapts, in the model's order. */
export function byModule(
  sources: readonly CombineSource[],
): { path: string; parts: { source: CombineSource; site: Site }[] }[] {
  const found = new Map<string, { source: CombineSource; site: Site }[]>();
  for (const source of sources) {
    for (const site of source.sites) {
      const { path } = site;
      found.set(path, [...(found.get(path) ?? []), { source, site }]);
    }
  }
  return [...found].map(([path, parts]) => ({ path, parts }));
}

/** Throws when a source trains more than the tensors of these names at its sites: they would be lost. */
export function requireOnly(sources: readonly CombineSource[], names: readonly string[]): void {
  for (const { name, sites, tensors } of sources) {
    const known = new Set(sites.flatMap(({ path }) => names.map((end) => siteKey(path, end))));
    const other = [...tensors.keys()].find((key) => !known.has(key));
    if (other === undefined) continue;
    throw combineError("SESSION-COMBINE", `the adapter ${name} trains a tensor that cannot be combined`, other);
  }
}

/** The config of the first source, on the modules of all. */
export function unitedConfig(sources: readonly CombineSource[], paths: readonly string[]): Record<string, unknown> {
  return {
    ...sources[0]!.config,
    target_modules: [...paths],
    exclude_modules: null,
    layers_to_transform: null,
    layers_pattern: null,
  };
}
