/** What no value of a fragment may be: a number that is not finite, or operators nested so deep that walking over them is not safe. */
import type { Builder } from "../../ir/builder.ts";
import type { Place } from "./ast.ts";
import { limits } from "./limits.ts";
import type { Scope } from "./scope.ts";
import type { Value } from "./value.ts";

/** By operator of a builder: how many operators stand in each other there. */
const depths = new WeakMap<Builder, Map<number, number>>();

/** Every operator is asked about as soon as it was made, so the operators in it are known already, or few. */
function operatorDepth(builder: Builder, id: number): number {
  const known = depths.get(builder) ?? new Map<number, number>();
  depths.set(builder, known);
  const before = known.get(id);
  if (before !== undefined) return before;
  const { type, inputs } = builder.node(id);
  const depth = type.kind === "operator" ? 1 + Math.max(0, ...inputs.map((input) => operatorDepth(builder, input))) : 0;
  known.set(id, depth);
  return depth;
}

/** Throws METHOD-NUMBER and METHOD-LIMIT. */
export function checkValue(scope: Scope, value: Value, at: Place): void {
  if (value.kind === "known" && typeof value.value === "number" && !Number.isFinite(value.value)) {
    throw scope.error("METHOD-NUMBER", at, {
      message: "This number is not finite.",
      expected: "a number of at most 1.8e308",
      got: String(value.value),
      help: "A number of the config, or of the text, is too large for what is worked out of it here.",
    });
  }
  if (value.kind === "operator" && operatorDepth(scope.builderOrFail(at), value.id) > limits.operators)
    throw scope.limit(at, "operators are nested too deep", limits.operators);
}
