/** What a fragment assigned at a site, checked against what belongs there. */
import { sameShape, sameType, sizeOf, typeText } from "../../ir/types.ts";
import type { Place } from "./ast.ts";
import { asOperator } from "./operations.ts";
import type { Scope } from "./scope.ts";
import { describe, type Value } from "./value.ts";
import { targetsOf } from "./walk.ts";
import { siteNames } from "./words.ts";

/** Where a target gets its value; the head of the block where it gets none. */
export function targetPlace({ block }: Scope, name: string | undefined): Place {
  return targetsOf(block!).find((target) => target.name === name)?.at ?? block!.at;
}

/** Throws METHOD-TYPE for what is no tensor. */
export function tensorNode(scope: Scope, value: Value, at: Place, what: string): number {
  if (value.kind === "tensor") return value.id;
  throw scope.misfit(at, `${what} is no tensor.`, value);
}

export function addedLoss(scope: Scope, value: Value | undefined): number | undefined {
  if (value === undefined || value.kind === "absent") return undefined;
  const { builder } = scope.build!;
  if (value.kind === "known" && typeof value.value === "number") return builder.constant(value.value);
  if (value.kind === "tensor" && sizeOf(builder.shape(value.id)) === 1) return builder.reshape(value.id, []);
  throw scope.misfit(targetPlace(scope, "loss"), "What is added to the loss is no number.", value, "f32[]");
}

export function newWeight(
  scope: Scope,
  value: Value | undefined,
  form: "operator" | "vector",
  unchanged: number,
): number {
  if (value === undefined) return unchanged;
  const { builder } = scope.build!;
  const asVector = value.kind === "tensor" ? value.id : undefined;
  const made = form === "operator" ? asOperator(value, () => builder) : asVector;
  if (made !== undefined && sameType(builder.type(made), builder.type(unchanged))) return made;
  throw scope.error("METHOD-TYPE", targetPlace(scope, siteNames[scope.block!.siteKind]?.weight), {
    message: "The adapted weight has another size than the weight.",
    expected: typeText(builder.type(unchanged)),
    got: made === undefined ? describe(value, builder) : typeText(builder.type(made)),
  });
}

export function newBias(scope: Scope, value: Value | undefined, unchanged: number | undefined): number | undefined {
  if (value === undefined) return unchanged;
  if (value.kind === "absent") return undefined;
  const { builder } = scope.build!;
  const out = scope.siteOrFail().out;
  if (value.kind === "tensor" && sameShape(builder.shape(value.id), [out])) return value.id;
  const message = "The adapted bias has another size than the layer.";
  throw scope.misfit(targetPlace(scope, "b"), message, value, `f32[${out}]`);
}
