/** Weighted combinations of adapters as new adapters, by `peft_type`: PEFT's `add_weighted_adapter`. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { combineScales } from "./ia3.ts";
import { combineLowRank } from "./lora.ts";
import type { Combine } from "./sources.ts";

export type {
  Combination,
  CombineOptions,
  CombineSource,
} from "./sources.ts";

const byType: ReadonlyMap<string, Combine> = new Map([
  ["LORA", combineLowRank],
  ["IA3", combineScales],
]);

/** How adapters of a type are combined. Throws `SESSION-COMBINE` for types whose parameters cannot be added up. */
export function combineOf(peftTypes: readonly string[]): Combine {
  const [first] = peftTypes;
  const combine = peftTypes.every((type) => type === first) ? byType.get(first!) : undefined;
  if (combine !== undefined) return combine;
  throw new WebpeftError("SESSION-COMBINE", {
    message: "these adapters cannot be combined into a new one",
    expected: `adapters that are all ${[...byType.keys()].join(" or all ")}`,
    got: [...new Set(peftTypes)].join(", "),
    help: "convert them to LoRA first (webpeft convert)",
  });
}
