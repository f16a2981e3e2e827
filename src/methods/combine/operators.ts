/** How tensors of several adapters become one, entry by entry. TIES: arXiv 2306.01708; DARE: arXiv 2311.03099. */
import { openUniform, threefry } from "../../ir/threefry.ts";

/** What happens to every tensor before the sum, and whether entries vote on their sign. */
export interface EntryRule {
  readonly prune?: "magnitude" | "random";
  readonly elect?: boolean;
}

export interface EntryOptions {
  /** Share of the entries that is kept, where the rule prunes. */
  readonly density: number;
  readonly majoritySign: "total" | "frequency";
  readonly seed: number;
}

/** The floor(density n) entries of largest absolute value, of equal ones the first; the others become 0. */
function keptLargest(tensor: Float64Array, density: number): Float64Array {
  const count = Math.floor(density * tensor.length);
  const order = Array.from(tensor.keys()).sort((a, b) => Math.abs(tensor[b]!) - Math.abs(tensor[a]!) || a - b);
  const kept = new Float64Array(tensor.length);
  for (const i of order.slice(0, count)) kept[i] = tensor[i]!;
  return kept;
}

/** Every entry stays with probability `density`, divided by it. */
function keptAtRandom(tensor: Float64Array, density: number, seed: number, stream: number): Float64Array {
  return tensor.map((x, i) => (openUniform(threefry(seed, stream, i, 0)[0]) < density ? x / density : 0));
}

function pruned(tensor: Float64Array, rule: EntryRule, options: EntryOptions, stream: number): Float64Array {
  if (rule.prune === undefined || options.density >= 1) return tensor;
  if (rule.prune === "magnitude") return keptLargest(tensor, options.density);
  return keptAtRandom(tensor, options.density, options.seed, stream);
}

/** The sign of the sum of an entry's values, or of their signs; of a sum of 0 it is 1. */
function electedSigns(tensors: readonly Float64Array[], by: EntryOptions["majoritySign"]): Float64Array {
  const vote = by === "total" ? (x: number) => x : Math.sign;
  return tensors[0]!.map((_x, i) => (tensors.reduce((sum, tensor) => sum + vote(tensor[i]!), 0) >= 0 ? 1 : -1));
}

/**
 * The weighted sum of tensors of one shape. With `elect` only values of the elected sign count, and their sum is divided by their number;
 * the vote is on the pruned tensors without their weights. `stream` keeps the random draws of different tensors apart.
 */
export function combinedEntries(
  tensors: readonly Float64Array[],
  weights: readonly number[],
  rule: EntryRule,
  options: EntryOptions,
  stream: number,
): Float64Array {
  const kept = tensors.map((tensor, i) => pruned(tensor, rule, options, stream * tensors.length + i));
  const signs = rule.elect === true ? electedSigns(kept, options.majoritySign) : undefined;
  return kept[0]!.map((_x, i) => {
    const counted = (tensor: Float64Array): boolean => signs === undefined || Math.sign(tensor[i]!) === signs[i];
    const sum = kept.reduce((total, tensor, k) => total + (counted(tensor) ? weights[k]! * tensor[i]! : 0), 0);
    return signs === undefined ? sum : sum / Math.max(1, kept.filter(counted).length);
  });
}
