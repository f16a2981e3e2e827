/** What a method reads of every sample, or of every token, of a batch. */
import type { AdapterInput } from "../../program/index.ts";
import type { Expression, InputItem } from "./ast.ts";
import { evaluateKnown } from "./evaluate.ts";
import type { Scope } from "./scope.ts";
import { describe, known } from "./value.ts";

function wholeNumber(scope: Scope, { name, at }: InputItem, value: Expression, least: number, what: string): number {
  const number = evaluateKnown(scope, value);
  if (typeof number === "number" && Number.isSafeInteger(number) && number >= least) return number;
  throw scope.error("METHOD-TYPE", at, { message: `${name} has no ${what}.`, got: describe(known(number)) });
}

/** `scope`: that of the whole method. Throws `METHOD-TYPE` where the number of values, or the value of those that lack, is none. */
export function batchInputs(scope: Scope): AdapterInput[] {
  return scope.items.flatMap((item): AdapterInput[] => {
    if (item.kind !== "input") return [];
    return [
      {
        name: item.name,
        dtype: "i32",
        limit: wholeNumber(scope, item, item.below, 1, "number of values"),
        ...(item.per === undefined ? { rowShape: [] } : { padding: -1 }),
        ...(item.option === undefined ? {} : { option: item.option }),
        ...(item.fill === undefined
          ? {}
          : { fill: wholeNumber(scope, item, item.fill, 0, "value where it is missing") }),
      },
    ];
  });
}
