/** Combining LoRA adapters: on their factors, or on their deltas with a truncated singular value decomposition behind. */
import { truncatedSvd } from "../../ir/svd.ts";
import { siteKey } from "../config/index.ts";
import { combinedEntries, type EntryOptions, type EntryRule } from "./operators.ts";
import {
  byModule,
  type Combine,
  type CombineOptions,
  combinations,
  combineError,
  requireOnly,
  unitedConfig,
} from "./sources.ts";

/** The factors at one module: A [rank, width], B [out, rank], row-major; the delta of the weight is scale B A. */
interface Factors {
  readonly a: Float64Array;
  readonly b: Float64Array;
  readonly rank: number;
  readonly width: number;
  readonly out: number;
}

interface Part extends Factors {
  readonly scale: number;
  readonly weight: number;
}

interface Settings extends EntryOptions {
  readonly rule: EntryRule;
  readonly rank: number;
  readonly clamp: number | undefined;
}

/** B A. */
function delta({ a, b, rank, width, out }: Factors): Float64Array {
  const product = new Float64Array(out * width);
  for (let i = 0; i < out; i++)
    for (let k = 0; k < rank; k++)
      for (let j = 0; j < width; j++) product[i * width + j]! += b[i * rank + k]! * a[k * width + j]!;
  return product;
}

/** Zeros behind the factors up to a rank, which change nothing. */
function padded({ a, b, rank, width, out }: Factors, to: number): Factors {
  const [wideA, wideB] = [new Float64Array(to * width), new Float64Array(out * to)];
  wideA.set(a);
  for (let i = 0; i < out; i++) wideB.set(b.subarray(i * rank, (i + 1) * rank), i * to);
  return { a: wideA, b: wideB, rank: to, width, out };
}

/** Factors side by side: A holds w s A_i, B the B_i. The delta is the weighted sum of the deltas. */
function concatenated(parts: readonly Part[]): Factors {
  const { width, out } = parts[0]!;
  const rank = parts.reduce((sum, part) => sum + part.rank, 0);
  const [a, b] = [new Float64Array(rank * width), new Float64Array(out * rank)];
  let from = 0;
  for (const part of parts) {
    a.set(
      part.a.map((x) => x * part.weight * part.scale),
      from * width,
    );
    for (let i = 0; i < out; i++) b.set(part.b.subarray(i * part.rank, (i + 1) * part.rank), i * rank + from);
    from += part.rank;
  }
  return { a, b, rank, width, out };
}

/** The rule on the A's and on the B's apart, each with the square roots of w s; signs go with A. Exact for one adapter alone. */
function factorwise(parts: readonly Part[], settings: Settings, stream: number): Factors {
  const [{ rank, width, out }] = parts as [Part, ...Part[]];
  const roots = parts.map(({ weight, scale }) => Math.sqrt(Math.abs(weight * scale)));
  const signed = roots.map((root, i) => root * Math.sign(parts[i]!.weight * parts[i]!.scale));
  const one = (name: "a" | "b", weights: readonly number[], own: number): Float64Array =>
    combinedEntries(
      parts.map((part) => part[name]),
      weights,
      settings.rule,
      settings,
      own,
    );
  return { a: one("a", signed, 2 * stream), b: one("b", roots, 2 * stream + 1), rank, width, out };
}

/** The rule on the deltas s B A, and the best approximation of its result at the rank wanted. */
function deltawise(parts: readonly Part[], settings: Settings, stream: number): Factors {
  const { width, out } = parts[0]!;
  const deltas = parts.map((part) => delta(part).map((x) => x * part.scale));
  const weights = parts.map(({ weight }) => weight);
  const sum = combinedEntries(deltas, weights, settings.rule, settings, stream);
  const { left, right } = truncatedSvd(sum, out, width, settings.rank);
  const limit = settings.clamp === undefined ? Number.POSITIVE_INFINITY : quantile([left, right], settings.clamp);
  const cut = (x: number): number => Math.min(Math.max(x, -limit), limit);
  return { a: right.map(cut), b: left.map(cut), rank: settings.rank, width, out };
}

/** The quantile of all numbers together, interpolated. */
function quantile(arrays: readonly Float64Array[], share: number): number {
  const sorted = Float64Array.from(arrays.flatMap((array) => [...array])).sort();
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (place - below) * (sorted[above]! - sorted[below]!);
}

const factorNames: Readonly<Record<string, readonly [string, string]>> = {
  linear: ["lora_A.weight", "lora_B.weight"],
  embedding: ["lora_embedding_A", "lora_embedding_B"],
};

/** The parts at every module. Throws `SESSION-COMBINE` for what is no sum of products: DoRA, biases, modules in full, tokens. */
function modulesOf(sources: Parameters<Combine>[0]): { path: string; kind: string; parts: Part[] }[] {
  requireOnly(sources, Object.values(factorNames).flat());
  return byModule(sources).map(({ path, parts }) => {
    const { kind } = parts[0]!.site;
    const [nameA, nameB] = factorNames[kind]!;
    return {
      path,
      kind,
      parts: parts.map(({ source, site }): Part => {
        const [a, b] = [source.tensors.get(siteKey(path, nameA))!, source.tensors.get(siteKey(path, nameB))!];
        const [alpha, r] = [site.fields.lora_alpha as number, site.fields.r as number];
        return {
          a: Float64Array.from(a.data),
          b: Float64Array.from(b.data),
          rank: r,
          width: a.shape[1]!,
          out: b.shape[0]!,
          scale: alpha / (site.fields.use_rslora === true ? Math.sqrt(r) : r),
          weight: source.weight,
        };
      }),
    };
  });
}

function requireEqualRanks(modules: readonly { path: string; parts: readonly Part[] }[], combination: string): void {
  const ranks = modules.map(({ parts }) => parts.map(({ rank }) => rank));
  const unequal = modules.find((_module, i) => ranks[i]!.some((rank) => rank !== ranks[i]![0]));
  if (unequal === undefined) return;
  throw combineError(
    "SESSION-COMBINE",
    `All adapters must have the same r value when using combination_type ${combination}.`,
    unequal.path,
    { expected: "equal ranks, or cat, svd or a combination that ends with _svd", got: ranks.flat().join(", ") },
  );
}

function checkOptions({ combination = "svd", density, rank, clamp }: CombineOptions): void {
  const wrong = (where: string, expected: string, got: unknown): Error =>
    combineError("SESSION-COMBINE-OPTION", `${where} does not fit`, where, { expected, got: String(got) });
  const rule: EntryRule | undefined = Object.hasOwn(combinations, combination) ? combinations[combination] : undefined;
  if (rule === undefined) throw wrong("combination", Object.keys(combinations).join(", "), combination);
  if (rule.prune !== undefined && !(density !== undefined && density > 0))
    throw wrong("density", `a number above 0, the share that ${combination} keeps`, density);
  if (rank !== undefined && !(Number.isSafeInteger(rank) && rank > 0)) throw wrong("rank", "a number above 0", rank);
  if (clamp !== undefined && !(clamp >= 0 && clamp <= 1)) throw wrong("clamp", "a number from 0 to 1", clamp);
}

/**
 * A LoRA whose deltas combine those of others. Its scale is 1: r is lora_alpha and use_rslora is off (PEFT keeps use_rslora, which makes
 * the result sqrt(r) times too strong).
 */
export const combineLowRank: Combine = (sources, options) => {
  checkOptions(options);
  const combination = sources.length === 1 ? "linear" : (options.combination ?? "svd");
  const modules = modulesOf(sources);
  const ranks = modules.flatMap(({ parts }) => parts.map(({ rank }) => rank));
  const settings: Settings = {
    rule: combinations[combination],
    density: options.density ?? 1,
    majoritySign: options.majoritySign ?? "total",
    seed: options.seed ?? 0,
    rank: options.rank ?? Math.max(...ranks),
    clamp: options.clamp,
  };
  const byDelta = combination.endsWith("svd");
  if (!byDelta && combination !== "cat") requireEqualRanks(modules, combination);
  const made = modules.map(({ parts }, stream) => {
    if (combination === "cat") return concatenated(parts);
    return byDelta ? deltawise(parts, settings, stream) : factorwise(parts, settings, stream);
  });
  const rank = Math.max(...made.map((factors) => factors.rank));
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const [i, { path, kind }] of modules.entries()) {
    const { a, b, width, out } = padded(made[i]!, rank);
    const [nameA, nameB] = factorNames[kind]!;
    tensors.set(siteKey(path, nameA), { shape: [rank, width], data: Float32Array.from(a) });
    tensors.set(siteKey(path, nameB), { shape: [out, rank], data: Float32Array.from(b) });
  }
  const paths = modules.map(({ path }) => path);
  const own = { r: rank, lora_alpha: rank, rank_pattern: {}, alpha_pattern: {}, use_rslora: false };
  return { config: { ...unitedConfig(sources, paths), ...own }, tensors };
};
