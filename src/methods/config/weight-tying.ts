/** `ensure_weight_tying`: what trains of one end of tied embeddings trains of all. Source: `_check_tied_modules` and LoRA's `_add_..._to_tie` in PEFT. */
import { type DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import type { ModuleInfo } from "../../models/model.ts";
import { compilePattern } from "../regex/index.ts";
import { siteKey } from "../site.ts";
import { embeddingNames } from "./defaults.ts";
import { lastPart } from "./keys.ts";
import { type Fields, list, text } from "./read.ts";

export interface EnsuredTies {
  /** With the input embedding in the field that named an end, and without the other ends. */
  readonly fields: Fields;
  /** The input embedding. */
  readonly source?: ModuleInfo;
  /** Modules that train as one with the input embedding, which trains in full. */
  readonly saved: readonly ModuleInfo[];
  /** Modules that are adapted as the input embedding is. */
  readonly adapted: readonly ModuleInfo[];
}

const namesEmbedding = (names: readonly string[]): boolean =>
  names.some((name) => embeddingNames.includes(lastPart(name)));

/** The names with the embedding among them; each tied module takes the first name away that hits it. */
function tiedNames(names: readonly string[], source: string, tied: readonly ModuleInfo[]): string[] {
  const left = names.includes(source) ? [...names] : [...names, source];
  for (const { path } of tied) {
    const at = left.findIndex((name) => compilePattern(`(^|.*\\.)${name}($|\\..*)`, "modules_to_save").match(path));
    if (at >= 0) left.splice(at, 1);
  }
  return left;
}

/** Throws CONFIG-TIES for ends that are tables themselves: PEFT puts a matrix in their place, which looks nothing up. */
function refuseTables(tied: readonly ModuleInfo[]): void {
  const table = tied.find(({ kind }) => kind === "embedding");
  if (table === undefined) return;
  throw new WebpeftError("CONFIG-TIES", {
    message: "ensure_weight_tying cannot tie several tables of tokens",
    where: "ensure_weight_tying",
    got: table.path,
    help: "Set ensure_weight_tying to false, or leave the embeddings out.",
  });
}

/**
 * What `ensure_weight_tying` makes of a config. As in PEFT, only ends that a field names `embed_tokens` or `lm_head` are tied. Warns where it has
 * no effect. Throws CONFIG-TIES.
 */
export function ensureTies(fields: Fields, modules: readonly ModuleInfo[], sink: DiagnosticSink): EnsuredTies {
  const untouched = { fields, saved: [], adapted: [] };
  if (fields.ensure_weight_tying !== true) return untouched;
  const source = modules.find(({ kind }) => kind === "embedding");
  const tied = modules.filter(
    (module) => module !== source && module.weight === source?.weight && source !== undefined,
  );
  const saved = list(fields.modules_to_save) ?? [];
  const targets = text(fields.target_modules) ?? list(fields.target_modules) ?? [];
  const isTarget =
    typeof targets === "string"
      ? embeddingNames.some((name) => compilePattern(targets, "target_modules").fullMatch(name))
      : namesEmbedding(targets);
  if (source === undefined || tied.length === 0 || !(namesEmbedding(saved) || isTarget)) {
    if ((fields.trainable_token_indices ?? null) === null) warnUnused(tied.length > 0, sink);
    return untouched;
  }
  refuseTables(tied);
  if (namesEmbedding(saved))
    return {
      fields: { ...fields, modules_to_save: tiedNames(saved, source.path, tied) },
      source,
      saved: tied,
      adapted: [],
    };
  const literal = source.path.replaceAll(".", "\\.");
  const kept = typeof targets === "string" ? `(?:${targets}|^${literal}$)` : tiedNames(targets, source.path, tied);
  return { fields: { ...fields, target_modules: kept }, source, saved: [], adapted: tied };
}

/**
 * The adapted modules with the tied ends among them, in the model's order, whatever the targets say of these. Throws CONFIG-TIES where the input
 * embedding is left out.
 */
export function withTiedHits(
  hits: readonly ModuleInfo[],
  { source, adapted }: EnsuredTies,
  modules: readonly ModuleInfo[],
): readonly ModuleInfo[] {
  if (adapted.length === 0) return hits;
  if (hits.includes(source!)) return modules.filter((module) => hits.includes(module) || adapted.includes(module));
  throw new WebpeftError("CONFIG-TIES", {
    message: "ensure_weight_tying adapts the input embedding, which the config leaves out",
    where: "ensure_weight_tying",
    expected: source!.path,
    got: "it is no target module",
    help: "Take it out of exclude_modules, or set ensure_weight_tying to false.",
  });
}

/** A tensor that is the transpose of another: keys in the adapter's file. */
export interface TensorTie {
  readonly key: string;
  readonly of: string;
}

/** The tensors of the input embedding that are those of a tied end. `names`: see `MethodProfile.tied`. */
export const tiedTensors = (path: string, source: string, names: Readonly<Record<string, string>>): TensorTie[] =>
  Object.entries(names).map(([own, other]) => ({ key: siteKey(source, other), of: siteKey(path, own) }));

function warnUnused(hasTie: boolean, sink: DiagnosticSink): void {
  const why = hasTie
    ? "no tied modules are added in either `modules_to_save` or `target_modules`"
    : "no tied modules were found in the model";
  sink.warn("CONFIG-TIES-UNUSED", {
    message: `You have requested \`ensure_weight_tying\`, but ${why}.`,
    where: "ensure_weight_tying",
    ...(hasTie ? { expected: "embed_tokens or lm_head by name" } : {}),
  });
}
