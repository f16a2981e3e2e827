/** What a method reads of every sample of a batch. */
import type { AdapterInput } from "../../program.ts";
import { evaluateKnown } from "./evaluate.ts";
import type { Scope } from "./scope.ts";
import { describe, known } from "./value.ts";

/** `scope`: that of the whole method. Throws `METHOD-TYPE` where the number of values is none. */
export function batchInputs(scope: Scope): AdapterInput[] {
  return scope.items.flatMap((item): AdapterInput[] => {
    if (item.kind !== "input") return [];
    const limit = evaluateKnown(scope, item.below);
    if (typeof limit === "number" && Number.isSafeInteger(limit) && limit >= 1)
      return [{ name: item.name, dtype: "i32", rowShape: [], limit, option: item.option }];
    const got = describe(known(limit));
    throw scope.error("METHOD-TYPE", item.at, { message: `${item.name} has no number of values.`, got });
  });
}
